"""Masked images: patches hidden from a model, which paints them (SimMIM, Xie et al. 2021)."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_tx.layers.core.base import register
from keras_tx.models.core.images import ImageHead, ImageModel
from keras_tx.ops.checks import require_shape
from keras_tx.ops.image.patches import grid, pixel_shuffle
from keras_tx.ops.losses import weighted
from keras_tx.ops.replicas import total


def hide_patches(x, masked, mask_token):
    """Embedded patches `(B, N, D)`, with the mask token, `(1, 1, D)`, for those that are masked, `(B, N)`."""
    hidden = ops.expand_dims(ops.cast(masked, "bool"), -1)
    return ops.where(hidden, ops.cast(mask_token, x.dtype), x)


def require_masks(masked, images, stride: tuple[int, int]) -> None:
    """Raise ValueError unless there is one for each patch of each image, `(B, N)`, as far as the sizes are known."""
    if masked is not None:
        size = tuple(images.shape[1:3])
        patches = None if None in size else math.prod(grid(size, stride))
        require_shape(masked, (images.shape[0], patches), "bool_masked_pos")


class SelfSupervisedModel(ImageModel):
    """A model that learns from images alone, by the loss of its own that it gives among its outputs."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if self.loss is not None:
            raise ValueError(f"a {type(self).__name__} trains with its own loss: compile it without one.")
        loss = self._loss_of_batch(x, {}, y_pred, {} if sample_weight is None else {"images": sample_weight})
        if loss is None:
            raise ValueError('give "bool_masked_pos" among the inputs: where no patch is hidden there is no loss.')
        return loss


@register
class MaskedImageHead(ImageHead):
    """A linear map of each token to a square of pixels: `(B, h, w, D)` to `(B, h * stride, w * stride, channels)`.

    The loss is the mean absolute error of the pixels that were hidden.

    Args:
        width: D.
        channels: of the images.
        stride: height and width of the square.
        patch_size: height and width of the patches that are hidden.
        levels: the level whose map is read.
        kernel_initializer: of the linear map.
    """

    extra_inputs = ("bool_masked_pos",)

    def __init__(
        self,
        width: int,
        channels: int,
        stride: int,
        patch_size: int,
        levels: tuple[int, ...],
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.width = width
        self.channels = channels
        self.stride = stride
        self.patch_size = patch_size
        self.levels = tuple(levels)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.decoder = keras.layers.Conv2D(
            stride**2 * channels,
            1,
            data_format="channels_last",
            kernel_initializer=self.kernel_initializer,
            dtype=self.dtype_policy,
            name="decoder",
        )

    @classmethod
    def of(cls, backbone, config, **options):
        stride, patch_size = _side(config.decoder_stride), _side(config.stride)
        sizes = (backbone.width, config.channels, stride, patch_size, backbone.levels(1))
        return cls(*sizes, backbone.initializer(), **options)

    def build(self, input_shape=None):
        self.decoder.build((None, None, None, self.width))

    def call(self, outputs, inputs, training=None):
        pixels = pixel_shuffle(self.decoder(outputs["feature_maps"][-1]), self.stride)
        self._require_same_size(pixels, inputs["images"])
        return {"logits": pixels}

    def _require_same_size(self, pixels, images) -> None:
        made, given = tuple(pixels.shape[1:3]), tuple(images.shape[1:3])
        if None not in (*made, *given) and made != given:
            raise ValueError(
                f"a square of {self.stride} pixels for each token of the last map makes images of {made}; got {given}: "
                "they must be equally large."
            )

    def own_losses(self, outputs, labels, weights):
        masked = labels.get("bool_masked_pos")
        if masked is None:
            return {}
        seen, weight = (labels["images"], outputs["logits"], masked, self.patch_size), weights.get("images")
        return {"loss": masked_pixel_loss(*seen, sample_weight=weight)}


def _side(size: tuple[int, int]) -> int:
    """The side of a square.

    Raises:
        ValueError: for what is none.
    """
    height, width = size
    if height != width:
        raise ValueError(f"`patch_size` of a masked image model must be square; got patches of {size} pixels.")
    return height


def masked_pixel_loss(images, reconstruction, masked, patch_size: int, *, sample_weight: Any = None):
    """The mean absolute error of the pixels that were hidden (SimMIM, Xie et al. 2021).

    Args:
        images, reconstruction: `(B, H, W, C)`.
        masked: `(B, H/p * W/p)`, True or not 0 where a patch was hidden.
        patch_size: p, height and width of a patch.
        sample_weight: of each image, `(B,)`.

    Returns:
        float32 scalar.
    """
    batch, height, width, channels = ops.shape(images)
    rows, columns = grid((height, width), patch_size)
    mask = ops.cast(ops.reshape(masked, (batch, rows, columns, 1)), "float32")
    mask = ops.repeat(ops.repeat(mask, patch_size, axis=1), patch_size, axis=2)
    errors = weighted(ops.abs(ops.cast(images, "float32") - ops.cast(reconstruction, "float32")), sample_weight)
    return ops.sum(errors * mask) / (total(ops.sum(mask)) + 1e-5) / channels
