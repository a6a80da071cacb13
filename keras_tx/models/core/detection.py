"""Object detection: a set of boxes with classes, predicted all at once by learned queries (DETR)."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
from keras import ops

from keras_tx.layers.core.linear import Linear
from keras_tx.layers.image.query_decoder import QueryDecoder
from keras_tx.models.core.dense import DenseModel
from keras_tx.models.core.images import ImageConfig
from keras_tx.ops.checks import require_divides, require_positive, require_rate
from keras_tx.ops.image.boxes import center_to_corners
from keras_tx.ops.image.detection import best_classes, detection_loss

_WEIGHTS = (
    "class_cost",
    "bbox_cost",
    "giou_cost",
    "bbox_loss_coefficient",
    "giou_loss_coefficient",
    "eos_coefficient",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectionConfig(ImageConfig):
    """What all models have that detect objects; `num_classes` counts the classes, "no object" apart."""

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
    """What the class's probability counts in the matching of predictions and objects."""
    bbox_cost: float = 5.0
    """What the distance of the boxes does."""
    giou_cost: float = 2.0
    """What their generalized intersection over union does."""
    bbox_loss_coefficient: float = 5.0
    """What the distance counts in the loss."""
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


class ObjectDetection(DenseModel):
    """Learned queries that decode the last map of features, each to the logits of a class and a box."""

    targets: ClassVar = {"logits": "class_labels", "pred_boxes": "boxes"}

    def make_head(self):
        c = self.config
        super().make_head()
        require_positive(num_classes=c.num_classes)
        self.decoder = QueryDecoder(
            self.feature_widths[-1],
            c.num_queries,
            c.decoder_d_model,
            c.decoder_num_heads,
            c.decoder_d_ff,
            c.decoder_num_layers,
            c.encoder_num_layers,
            c.decoder_dropout,
            dtype=self.dtype_policy,
            name="decoder",
        )
        self.class_head = self.linear(c.num_classes + 1, "class_head")
        width = c.decoder_d_model
        self.box_layers = [
            Linear(units, activation, dtype=self.dtype_policy, name=f"box_head_{i}")
            for i, (units, activation) in enumerate(((width, "relu"), (width, "relu"), (4, None)))
        ]

    def build(self, input_shape=None):
        super().build(input_shape)
        self.decoder.build()
        for layer in (self.class_head, *self.box_layers):
            layer.build((None, None, self.config.decoder_d_model))

    def call(
        self,
        images,
        class_labels=None,
        boxes=None,
        return_attention: bool = False,
        return_hidden_states: bool = False,
        training=None,
    ):
        """What each query finds and, given what there is, the loss.

        Args:
            images: `(B, H, W, C)`, floating point, of any size, or a dict with them as `"images"` and all else.
            class_labels: integers `(B, M)`, the classes of the objects, as many slots for each image and no more than
                `num_queries`; -100 for those left over.
            boxes: `(B, M, 4)`, centre, width and height `(x, y, w, h)` of the objects, in shares of the image.
            return_attention: also give the backbone's attention maps, `"attentions"`; those of the queries on the last
                map of features, `"cross_attentions"`, `(B, heads, num_queries, h * w)` for each block, and on each
                other, `"decoder_attentions"`; and those of the encoder, if there is one, `"encoder_attentions"`.
            return_hidden_states: as the family's classifier takes it.
            training: whether dropout is active.

        Returns:
            A dict of `"logits"`, `(B, num_queries, num_classes + 1)`, the last one of "no object"; `"pred_boxes"`,
            float32 `(B, num_queries, 4)`, as `boxes`; `"loss"` where there are labels; in training with
            `auxiliary_loss`, `"auxiliary_outputs"`, the first two of each block but the last; and what was asked for.

        Raises:
            ValueError: for images of another rank, order of axes, number of channels or dtype; and as
                `ops.detection.detection_loss`.
        """
        given = self.named_inputs(images, class_labels=class_labels, boxes=boxes)
        maps, asked = self.features(
            self.padded(given["images"]),
            return_attention=return_attention,
            return_hidden_states=return_hidden_states,
            training=training,
        )
        decoded = self.decoder(maps[-1], return_attention=return_attention, training=training)
        outputs = {**self._predictions(decoded.states[-1]), **asked}
        if training and self.config.auxiliary_loss:
            outputs["auxiliary_outputs"] = tuple(map(self._predictions, decoded.states[:-1]))
        outputs |= {name: of_blocks for name, of_blocks in decoded._asdict().items() if name != "states" and of_blocks}
        return outputs | self.own_losses(outputs, given)

    def _predictions(self, queries) -> dict[str, Any]:
        """The logits and boxes of decoded queries."""
        x = queries
        for layer in self.box_layers:
            x = layer(x)
        return {"logits": self.class_head(queries), "pred_boxes": ops.sigmoid(ops.cast(x, "float32"))}

    def own_losses(self, outputs, labels):
        classes, boxes = labels["class_labels"], labels["boxes"]
        if classes is None or boxes is None:
            return {}
        every = [*outputs.get("auxiliary_outputs", ()), outputs]
        # All blocks at once: each has as many objects and queries, so that a mean over all is the mean of theirs.
        logits, pred_boxes = (ops.concatenate([x[name] for x in every]) for name in self.targets)
        classes, boxes = (ops.concatenate([ops.convert_to_tensor(x)] * len(every)) for x in (classes, boxes))
        weights = {name: getattr(self.config, name) for name in _WEIGHTS}
        return {"loss": len(every) * detection_loss(logits, pred_boxes, classes, boxes, **weights)}

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
