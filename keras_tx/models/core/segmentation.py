"""Semantic segmentation: a class for each pixel, from maps of several scales."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import keras
from keras import ops

from keras_tx.layers.core.base import register
from keras_tx.layers.core.dropout import Dropout
from keras_tx.layers.core.initializers import clone_initializer
from keras_tx.layers.image.feature_pyramid import PyramidDecoder
from keras_tx.models.core.images import ImageBackbone, ImageConfig, ImageHead
from keras_tx.ops.checks import require_positive
from keras_tx.ops.image.patches import pair
from keras_tx.ops.image.resample import resize_maps
from keras_tx.ops.losses import IGNORED, as_classes, token_cross_entropy


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentationConfig(ImageConfig):
    """The config of models that segment images; `num_classes` counts the classes of pixels."""

    head_fields = ImageConfig.head_fields | {"decoder_width", "semantic_loss_ignore_index"}

    decoder_width: int = 256
    semantic_loss_ignore_index: int = 255
    """The label of pixels that do not count."""

    def __post_init__(self):
        super().__post_init__()
        require_positive(decoder_width=self.decoder_width)


Neck = Callable[[ImageBackbone, Any], keras.Layer]
"""Makes, for a backbone and a model's config, a layer from a tuple of the backbone's maps to one of maps from fine to
coarse, whose widths are its `widths`."""


@register
class SemanticSegmentationHead(ImageHead):
    """A feature pyramid's decoder, and a linear map of each of its vectors to logits, enlarged to the image.

    Maps `(B, h, w, c)` become logits `(B, H, W, num_classes)`. The loss is the mean cross-entropy of the pixels.

    Args:
        neck: the layer that makes the maps to be decoded, from fine to coarse, of the backbone's.
        levels: whose maps the neck reads.
        num_classes: of the logits.
        decoder_width: of the decoder.
        dropout: rate before the linear map.
        stride: pixels between neighbouring patches, of whole numbers of which the backbone saw the images.
        ignore_index: the label of pixels that do not count.
        kernel_initializer: of all kernels.
    """

    targets: ClassVar = {"logits": "labels"}

    def __init__(
        self,
        neck: keras.Layer,
        levels: tuple[int, ...],
        num_classes: int,
        decoder_width: int = 256,
        dropout: float = 0.0,
        stride: tuple[int, int] = (1, 1),
        ignore_index: int = 255,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_positive(num_classes=num_classes)
        self.neck = neck if isinstance(neck, keras.Layer) else keras.saving.deserialize_keras_object(neck)
        self.levels = tuple(levels)
        self.num_classes = num_classes
        self.decoder_width = decoder_width
        self.dropout = dropout
        self.stride = pair(stride)
        self.ignore_index = ignore_index
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.decoder = PyramidDecoder(
            self.neck.widths,
            decoder_width,
            kernel_initializer=clone_initializer(self.kernel_initializer),
            dtype=self.dtype_policy,
            name="decoder",
        )
        self.classifier_drop = Dropout(dropout, dtype=self.dtype_policy, name="classifier_drop")
        self.pixel_classifier = self.linear(num_classes, "pixel_classifier")

    @classmethod
    def of(cls, backbone, config, **options):
        neck = options.pop("neck")
        return cls(
            neck,
            backbone.levels(len(neck.widths)),
            config.num_classes,
            config.decoder_width,
            config.head_dropout,
            config.stride,
            config.semantic_loss_ignore_index,
            backbone.initializer(),
            **options,
        )

    def get_config(self):
        config = super().get_config()
        config["neck"].pop("build_config", None)  # it is built in this layer's `build`
        return config

    def build(self, input_shape=None):
        self.neck.build()
        self.decoder.build()
        self.pixel_classifier.build((None, None, None, self.decoder_width))

    def call(self, outputs, inputs, training=None):
        _, height, width, _ = ops.shape(inputs["images"])
        seen = (height + -height % self.stride[0], width + -width % self.stride[1])
        x = self.decoder(self.neck(outputs["feature_maps"]))
        logits = self.pixel_classifier(self.classifier_drop(x, training=training))
        return {"logits": resize_maps(logits, seen)[:, :height, :width]}

    def own_losses(self, outputs, labels, weights):
        if labels["labels"] is None:
            return {}
        logits = outputs["logits"]
        found = as_classes(labels["labels"], tuple(logits.shape)[:-1])
        counted = ops.where(ops.not_equal(found, self.ignore_index), found, IGNORED)
        return {"loss": token_cross_entropy(logits, counted, sample_weight=weights.get("labels"))}

    @property
    def num_classes_of(self):
        return {"labels": self.num_classes}

    @property
    def ignored_labels(self):
        return (IGNORED, self.ignore_index)
