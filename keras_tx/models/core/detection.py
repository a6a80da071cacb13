"""Object detection: a set of boxes with classes, predicted all at once by learned queries (DETR)."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from keras_tx.layers.core.base import register
from keras_tx.layers.core.linear import Linear
from keras_tx.layers.image.query_decoder import QueryDecoder
from keras_tx.models.core.dense import DenseModel
from keras_tx.models.core.images import ImageConfig, ImageHead
from keras_tx.models.core.set_metrics import EvaluatedInSets
from keras_tx.ops.checks import require_divides, require_positive, require_rate
from keras_tx.ops.image.boxes import center_to_corners
from keras_tx.ops.image.detection import best_classes, detection_loss, require_boxes


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectionConfig(ImageConfig):
    """The config of models that detect objects; `num_classes` counts the classes without "no object"."""

    head_fields = ImageConfig.head_fields | {
        "num_queries",
        "decoder_num_layers",
        "decoder_num_heads",
        "decoder_d_model",
        "decoder_d_ff",
        "decoder_dropout",
        "encoder_num_layers",
        "auxiliary_loss",
        "class_cost",
        "bbox_cost",
        "giou_cost",
        "bbox_loss_coefficient",
        "giou_loss_coefficient",
        "eos_coefficient",
    }

    num_queries: int = 100
    """The most objects that can be found in an image."""
    decoder_num_layers: int = 6
    decoder_num_heads: int = 8
    decoder_d_model: int = 256
    """Width of the decoder, a multiple of 4."""
    decoder_d_ff: int = 2048
    decoder_dropout: float = 0.1
    encoder_num_layers: int = 0
    """Blocks of attention over the whole map before the decoder, for backbones that attend in windows."""
    auxiliary_loss: bool = True
    """Whether the predictions of every block of the decoder are trained, each with the whole loss."""
    class_cost: float = 1.0
    """The weight of the class's probability in the matching of predictions and objects."""
    bbox_cost: float = 5.0
    """The weight of the boxes' L1 distance in the matching."""
    giou_cost: float = 2.0
    """The weight of the boxes' generalized intersection over union in the matching."""
    bbox_loss_coefficient: float = 5.0
    """The weight of the boxes' L1 distance in the loss."""
    giou_loss_coefficient: float = 2.0
    eos_coefficient: float = 0.1
    """The weight of "no object" in the cross-entropy of the classes."""

    def __post_init__(self):
        super().__post_init__()
        require_positive(
            num_queries=self.num_queries,
            decoder_num_layers=self.decoder_num_layers,
            decoder_num_heads=self.decoder_num_heads,
            decoder_d_model=self.decoder_d_model,
            decoder_d_ff=self.decoder_d_ff,
        )
        require_divides(self.decoder_d_model, self.decoder_num_heads, "decoder_d_model", "decoder_num_heads")
        require_rate(decoder_dropout=self.decoder_dropout)
        if self.encoder_num_layers < 0:
            raise ValueError(f"`encoder_num_layers` must be at least 0; got {self.encoder_num_layers}.")
        if not any((self.class_cost, self.bbox_cost, self.giou_cost)):
            raise ValueError("one of `class_cost`, `bbox_cost` and `giou_cost` must not be 0: there would be no match.")


@register
class ObjectDetectionHead(ImageHead):
    """Learned queries that decode a map, each to the logits of a class and a box.

    A map `(B, h, w, D)` becomes logits `(B, num_queries, num_classes + 1)`, the last one of "no object", and, as
    `"pred_boxes"`, float32 `(B, num_queries, 4)`: centre, width and height, in shares of the image. In training with
    `auxiliary_loss`, `"auxiliary_outputs"` are those of each block but the last. The loss is that of
    `ops.image.detection.detection_loss`, summed over the blocks.

    Args:
        width: D.
        levels: the level whose map is read.
        num_classes: "no object" apart.
        num_queries: the most objects that can be found in an image.
        d_model, num_heads, d_ff, num_layers, encoder_num_layers, dropout: of the decoder, as `QueryDecoder` takes them.
        auxiliary_loss: whether the predictions of every block are trained.
        class_cost, bbox_cost, giou_cost, bbox_loss_coefficient, giou_loss_coefficient, eos_coefficient: as
            `detection_loss` takes them.
        kernel_initializer: of the classes' linear map.
    """

    targets: ClassVar = {"logits": "class_labels", "pred_boxes": "boxes"}

    def __init__(
        self,
        width: int,
        levels: tuple[int, ...],
        num_classes: int,
        num_queries: int = 100,
        d_model: int = 256,
        num_heads: int = 8,
        d_ff: int = 2048,
        num_layers: int = 6,
        encoder_num_layers: int = 0,
        dropout: float = 0.0,
        auxiliary_loss: bool = True,
        class_cost: float = 1.0,
        bbox_cost: float = 5.0,
        giou_cost: float = 2.0,
        bbox_loss_coefficient: float = 5.0,
        giou_loss_coefficient: float = 2.0,
        eos_coefficient: float = 0.1,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_positive(num_classes=num_classes)
        self.width = width
        self.levels = tuple(levels)
        self.num_classes = num_classes
        self.num_queries = num_queries
        self.d_model = d_model
        self.num_heads = num_heads
        self.d_ff = d_ff
        self.num_layers = num_layers
        self.encoder_num_layers = encoder_num_layers
        self.dropout = dropout
        self.auxiliary_loss = auxiliary_loss
        self.class_cost = class_cost
        self.bbox_cost = bbox_cost
        self.giou_cost = giou_cost
        self.bbox_loss_coefficient = bbox_loss_coefficient
        self.giou_loss_coefficient = giou_loss_coefficient
        self.eos_coefficient = eos_coefficient
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        sizes = (width, num_queries, d_model, num_heads, d_ff, num_layers, encoder_num_layers, dropout)
        self.decoder = QueryDecoder(*sizes, dtype=self.dtype_policy, name="decoder")
        self.class_head = self.linear(num_classes + 1, "class_head")
        self.box_layers = [
            Linear(units, activation, dtype=self.dtype_policy, name=f"box_head_{i}")
            for i, (units, activation) in enumerate(((d_model, "relu"), (d_model, "relu"), (4, None)))
        ]

    @classmethod
    def of(cls, backbone, config, **options):
        levels = backbone.levels(1)
        return cls(
            backbone.widths[levels[-1] - 1],
            levels,
            config.num_classes,
            config.num_queries,
            config.decoder_d_model,
            config.decoder_num_heads,
            config.decoder_d_ff,
            config.decoder_num_layers,
            config.encoder_num_layers,
            config.decoder_dropout,
            config.auxiliary_loss,
            config.class_cost,
            config.bbox_cost,
            config.giou_cost,
            config.bbox_loss_coefficient,
            config.giou_loss_coefficient,
            config.eos_coefficient,
            backbone.initializer(),
            **options,
        )

    def build(self, input_shape=None):
        self.decoder.build()
        for layer in (self.class_head, *self.box_layers):
            layer.build((None, None, self.d_model))

    def call(self, outputs, inputs, training=None):
        asked = "attentions" in outputs
        decoded = self.decoder(outputs["feature_maps"][-1], return_attention=asked, training=training)
        found: dict[str, Any] = self._predictions(decoded.states[-1])
        if training and self.auxiliary_loss:
            found["auxiliary_outputs"] = tuple(map(self._predictions, decoded.states[:-1]))
        maps = {name: of_blocks for name, of_blocks in decoded._asdict().items() if name != "states" and of_blocks}
        return found | maps

    def _predictions(self, queries) -> dict[str, Any]:
        """The logits and boxes of decoded queries."""
        x = queries
        for layer in self.box_layers:
            x = layer(x)
        return {"logits": self.class_head(queries), "pred_boxes": ops.sigmoid(ops.cast(x, "float32"))}

    def own_losses(self, outputs, labels, weights):
        classes, boxes = labels["class_labels"], labels["boxes"]
        if classes is None or boxes is None:
            return {}
        every = [*outputs.get("auxiliary_outputs", ()), outputs]
        # All blocks at once: each has as many objects and queries, so that a mean over all is the mean of theirs.
        logits, pred_boxes = (ops.concatenate([x[name] for x in every]) for name in self.targets)
        classes, boxes = (ops.concatenate([ops.convert_to_tensor(x)] * len(every)) for x in (classes, boxes))
        sample_weight = weights.get("class_labels")
        if sample_weight is not None:
            sample_weight = ops.tile(ops.reshape(sample_weight, (-1,)), len(every))
        coefficients = {
            "class_cost": self.class_cost,
            "bbox_cost": self.bbox_cost,
            "giou_cost": self.giou_cost,
            "bbox_loss_coefficient": self.bbox_loss_coefficient,
            "giou_loss_coefficient": self.giou_loss_coefficient,
            "eos_coefficient": self.eos_coefficient,
        }
        loss = detection_loss(logits, pred_boxes, classes, boxes, **coefficients, sample_weight=sample_weight)
        return {"loss": len(every) * loss}

    @property
    def num_classes_of(self):
        return {"class_labels": self.num_classes}

    def require_labels(self, labels, *, whole):
        super().require_labels(labels, whole=whole)
        if "class_labels" in labels and "boxes" in labels:
            require_boxes(labels["class_labels"], labels["boxes"])


class ObjectDetection(EvaluatedInSets, DenseModel):
    """A model that finds objects.

    `model(images)` gives `{"logits": (B, num_queries, num_classes + 1), "pred_boxes": (B, num_queries, 4)}`; with
    `class_labels`, `(B, M)`, and `boxes`, `(B, M, 4)`, also `"loss"`. `detect` gives the objects of each image. It
    trains with `compile(optimizer)` alone, on `y` a dict of both labels; `compile(metrics=[AveragePrecision()])` adds
    its metric to what `evaluate` and a validation give.
    """

    head_class = ObjectDetectionHead

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if self.loss is not None:
            raise ValueError(
                "predictions have to be matched to objects before they can be compared, which no Keras loss does: "
                "compile without one, and the model trains with its own."
            )
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def detect(self, images, threshold: float = 0.5, batch_size: int = 32) -> list[dict[str, np.ndarray]]:
        """The objects in images.

        Args:
            images: `(B, H, W, C)`, as `call` takes them.
            threshold: only those are told whose class is more probable.
            batch_size: images at a time.

        Returns:
            A dict for each image: `"scores"`, float32 `(N,)`, the probabilities; `"labels"`, int32 `(N,)`; and
            `"boxes"`, float32 `(N, 4)`, corners `(x_min, y_min, x_max, y_max)` in pixels.
        """
        outputs = self.predict(images, batch_size=batch_size, verbose=0)
        labels, scores = map(ops.convert_to_numpy, best_classes(outputs["logits"]))
        height, width = np.shape(images)[1:3]
        pixels = np.array([width, height, width, height], "float32")
        boxes = ops.convert_to_numpy(center_to_corners(outputs["pred_boxes"])) * pixels
        kept = scores > threshold
        return [
            {"scores": scores[i, of_image], "labels": labels[i, of_image], "boxes": boxes[i, of_image]}
            for i, of_image in enumerate(kept)
        ]
