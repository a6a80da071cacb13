"""Embedding of images' patches: from images to tokens."""

from __future__ import annotations

import math

import keras
from keras import ops

from keras_tx.layers.core.base import Layer, register
from keras_tx.ops.checks import require_positive, require_rank, require_width
from keras_tx.ops.image.patches import Size, grid, pair, patchify
from keras_tx.ops.image.windows import are_zero, crop


@register
class PatchEmbedding(Layer):
    """A linear map of each patch of an image (Dosovitskiy et al. 2020, equation 1).

    Input: images `(B, H, W, channels)`. Output: `(B, N, dim)`, the N patches row by row. Rows at the bottom and columns
    at the right that fill no patch are left out, as by a convolution.

    It is a convolution whose stride is its kernel's size, `(p, q, channels, dim)`, computed as one matrix product:
    as fast under XLA, and in every runtime.

    Args:
        patch_size: p and q, or one number for both.
        dim: width of the output.
        channels: of the images.
        use_bias: whether the map has a bias.
        kernel_initializer: of the kernel.

    Raises:
        ValueError: for sizes less than 1; at call, for another rank, other channels, or images smaller than a patch.
    """

    def __init__(
        self,
        patch_size: Size,
        dim: int,
        channels: int = 3,
        use_bias: bool = True,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        height, width = pair(patch_size)
        require_positive(patch_size=height, dim=dim, channels=channels)
        require_positive(patch_size=width)
        self.patch_size = (height, width)
        self.dim = dim
        self.channels = channels
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape=None):
        shape = (*self.patch_size, self.channels, self.dim)
        self.kernel = self.add_weight(shape=shape, initializer=self.kernel_initializer, name="kernel")
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.dim,), initializer="zeros", name="bias")

    def call(self, images):
        require_rank(images, 4, "images", "(batch, height, width, channels)")
        require_width(images, self.channels, "images")
        images = whole_patches(images, self.patch_size)
        kernel = ops.reshape(ops.cast(self.kernel, self.compute_dtype), (-1, self.dim))
        x = ops.matmul(patchify(images, self.patch_size), kernel)
        return x + ops.cast(self.bias, x.dtype) if self.use_bias else x

    def compute_output_shape(self, input_shape):
        batch, *size, _ = input_shape
        return (batch, None if None in size else math.prod(grid(tuple(size), self.patch_size)), self.dim)


def whole_patches(images, patch_size: Size):
    """The images without the rows and columns that fill no patch; ValueError if there is no patch, as far as known."""
    size = ops.shape(images)[1:3]
    rows, columns = grid(size, patch_size)
    if are_zero(rows) or are_zero(columns):
        raise ValueError(
            f"`images` must be no smaller than a patch, {pair(patch_size)}; got {tuple(size)}: resize them."
        )
    height, width = pair(patch_size)
    return crop(images, rows * height, columns * width)


def require_whole_patches(images, patch_size: Size) -> None:
    """Raise ValueError unless the images' height and width are multiples of the patches', as far as they are known."""
    size, patch = tuple(images.shape[1:3]), pair(patch_size)
    if any(isinstance(length, int) and length % part for length, part in zip(size, patch, strict=True)):
        raise ValueError(
            f"the height and width of `images` must be multiples of the patches', {patch}; got {size}: resize, crop "
            "or pad them."
        )
