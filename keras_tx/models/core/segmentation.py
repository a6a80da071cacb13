"""Semantic segmentation: a class for each pixel, from maps of features of several scales."""

from __future__ import annotations

import dataclasses
from typing import Any

from keras import ops

from keras_tx.layers.core.dropout import Dropout
from keras_tx.layers.image.feature_pyramid import PyramidDecoder
from keras_tx.models.core.dense import DenseModel
from keras_tx.models.core.images import ImageConfig
from keras_tx.ops.checks import require_integer, require_positive
from keras_tx.ops.image.resample import resize_maps
from keras_tx.ops.losses import IGNORED, token_cross_entropy


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentationConfig(ImageConfig):
    """What all models have that segment images; `num_classes` counts the classes of pixels."""

    decoder_width: int = 256
    semantic_loss_ignore_index: int = 255
    """The label of pixels that do not count."""

    def __post_init__(self):
        super().__post_init__()
        require_positive(decoder_width=self.decoder_width)


class SemanticSegmentation(DenseModel):
    """A feature pyramid's decoder, and a linear map of each of its vectors to logits, enlarged to the image."""

    def make_head(self):
        c = self.config
        super().make_head()
        require_positive(num_classes=c.num_classes)
        self.decoder = PyramidDecoder(
            self.feature_widths,
            c.decoder_width,
            kernel_initializer=self.initializer(),
            dtype=self.dtype_policy,
            name="decoder",
        )
        self.head_drop = Dropout(c.head_dropout, dtype=self.dtype_policy, name="head_drop")
        self.classifier = self.linear(c.num_classes, "classifier")

    def build(self, input_shape=None):
        super().build(input_shape)
        self.decoder.build()
        self.classifier.build((None, None, None, self.config.decoder_width))

    def call(
        self, images, labels=None, return_attention: bool = False, return_hidden_states: bool = False, training=None
    ):
        """The logits of each pixel and, given labels, the loss.

        Args:
            images: `(B, H, W, C)`, floating point, of any size, or a dict with them as `"images"` and `"labels"`.
            labels: integers `(B, H, W)`; `semantic_loss_ignore_index`, or -100, does not count.
            return_attention, return_hidden_states: as the family's classifier takes them.
            training: whether dropout is active.

        Returns:
            A dict of `"logits"`, `(B, H, W, num_classes)`; given labels of `"loss"`, their mean cross-entropy in nats;
            and of what was asked for.

        Raises:
            ValueError: for images of another rank, order of axes, number of channels or dtype; for labels that are no
                integers, of another shape, or known to be no class.
        """
        given = self.named_inputs(images, labels=labels)
        images = given["images"]
        _, height, width, _ = ops.shape(images)
        padded = self.padded(images)
        maps, asked = self.features(
            padded, return_attention=return_attention, return_hidden_states=return_hidden_states, training=training
        )
        logits = self.classifier(self.head_drop(self.decoder(maps), training=training))
        logits = resize_maps(logits, tuple(ops.shape(padded)[1:3]))[:, :height, :width]
        outputs: dict[str, Any] = {"logits": logits, **asked}
        return outputs | self.own_losses(outputs, given)

    def own_losses(self, outputs, labels):
        if labels["labels"] is None:
            return {}
        labels = ops.convert_to_tensor(labels["labels"])
        require_integer(labels, "labels")
        labels = ops.cast(labels, "int32")
        counts = ops.not_equal(labels, self.config.semantic_loss_ignore_index)
        return {"loss": token_cross_entropy(outputs["logits"], ops.where(counts, labels, IGNORED))}
