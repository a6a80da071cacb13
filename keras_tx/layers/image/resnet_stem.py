"""The first stages of a ResNet, whose map hybrid Vision Transformers cut into patches."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops

from keras_tx.layers.core.base import Layer, register
from keras_tx.ops.checks import require_positive, require_rank, require_width

WIDTH = 64
"""Channels of the first convolution."""
GROUPS = 32
"""The number of groups of the group norms."""


def resnet_stride(blocks: Sequence[int]) -> int:
    """Pixels between neighbours on the map of a `ResNetStem` of these blocks."""
    return 4 * 2 ** max(len(blocks) - 1, 0)


def resnet_width(blocks: Sequence[int]) -> int:
    """Returns the channels of the map of a `ResNetStem` of these blocks."""
    return WIDTH * 2 ** (len(blocks) + 1) if blocks else WIDTH


@register
class StandardizedConv(Layer):
    """A convolution without bias whose kernels have mean 0 and variance 1, one for each output (Qiao et al. 2019).

    Input: `(B, H, W, channels)`. Output: `(B, ceil(H / strides), ceil(W / strides), filters)`.

    Args:
        filters: channels of the output.
        kernel_size: height and width of the kernels.
        strides: pixels between neighbours of the output.
        epsilon: added to a kernel's variance.
        kernel_initializer: of the kernels.

    Raises:
        ValueError: for sizes less than 1.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        strides: int = 1,
        epsilon: float = 1e-8,
        kernel_initializer="he_normal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_positive(filters=filters, kernel_size=kernel_size, strides=strides)
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.epsilon = epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        shape = (self.kernel_size, self.kernel_size, input_shape[-1], self.filters)
        self.kernel = self.add_weight(shape=shape, initializer=self.kernel_initializer, name="kernel")

    def call(self, x):
        kernel = ops.convert_to_tensor(self.kernel)
        mean, variance = ops.moments(kernel, axes=(0, 1, 2), keepdims=True)
        kernel = (kernel - mean) * ops.rsqrt(variance + self.epsilon)
        return ops.conv(x, ops.cast(kernel, x.dtype), strides=self.strides, padding="same", data_format="channels_last")

    def compute_output_shape(self, input_shape):
        batch, *size, _ = input_shape
        return (batch, *(None if length is None else -(-length // self.strides) for length in size), self.filters)


@register
class BottleneckBlock(Layer):
    """A residual block of three convolutions, the middle one a quarter as wide (He et al. 2015, figure 5).

    As in BiT's and the hybrid Vision Transformers' ResNets, kernels are standardized and norms are of groups.

    Input: `(B, H, W, C)`. Output: `(B, ceil(H / strides), ceil(W / strides), filters)`.

    Args:
        filters: channels of the output, a multiple of 128.
        strides: of the middle convolution.
        project: whether the shortcut has a convolution of its own, as it must where the shape changes.
    """

    def __init__(self, filters: int, strides: int = 1, project: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.strides = strides
        self.project = project
        policy, inner = self.dtype_policy, filters // 4
        self.conv1 = StandardizedConv(inner, 1, dtype=policy, name="conv1")
        self.norm1 = _group_norm(policy, "norm1")
        self.conv2 = StandardizedConv(inner, 3, strides, dtype=policy, name="conv2")
        self.norm2 = _group_norm(policy, "norm2")
        self.conv3 = StandardizedConv(filters, 1, dtype=policy, name="conv3")
        self.norm3 = _group_norm(policy, "norm3")
        if project:
            self.shortcut_conv = StandardizedConv(filters, 1, strides, dtype=policy, name="shortcut_conv")
            self.shortcut_norm = _group_norm(policy, "shortcut_norm")

    def build(self, input_shape):
        inner = (None, None, None, self.filters // 4)
        outer = (None, None, None, self.filters)
        self.conv1.build(input_shape)
        self.norm1.build(inner)
        self.conv2.build(inner)
        self.norm2.build(inner)
        self.conv3.build(inner)
        self.norm3.build(outer)
        if self.project:
            self.shortcut_conv.build(input_shape)
            self.shortcut_norm.build(outer)

    def call(self, x):
        shortcut = self.shortcut_norm(self.shortcut_conv(x)) if self.project else x
        x = ops.relu(self.norm1(self.conv1(x)))
        x = ops.relu(self.norm2(self.conv2(x)))
        return ops.relu(self.norm3(self.conv3(x)) + shortcut)

    def compute_output_shape(self, input_shape):
        return (*self.conv2.compute_output_shape(input_shape)[:-1], self.filters)


@register
class ResNetStem(Layer):
    """The first stages of a ResNet with standardized kernels and group norms (Dosovitskiy et al. 2020, section 3.1).

    Input: images `(B, H, W, channels)`. Output: `(B, H / s, W / s, resnet_width(blocks))`, s = `resnet_stride(blocks)`.

    Args:
        blocks: how many bottleneck blocks each stage has, as `(3, 4, 9)`; without stages there is a convolution and
            pooling alone.
        channels: of the images.

    Raises:
        ValueError: for numbers less than 1; at call, for another rank or other channels.
    """

    def __init__(self, blocks: Sequence[int], channels: int = 3, **kwargs):
        super().__init__(**kwargs)
        for count in blocks:
            require_positive(blocks=count)
        require_positive(channels=channels)
        self.blocks = tuple(blocks)
        self.channels = channels
        policy = self.dtype_policy
        self.conv = StandardizedConv(WIDTH, 7, 2, dtype=policy, name="conv")
        self.norm = _group_norm(policy, "norm")
        self.stages = [
            [
                BottleneckBlock(
                    resnet_width(blocks[: i + 1]),
                    strides=2 if i and not j else 1,
                    project=not j,
                    dtype=policy,
                    name=f"stage_{i}_block_{j}",
                )
                for j in range(count)
            ]
            for i, count in enumerate(blocks)
        ]

    def build(self, input_shape=None):
        shape = (None, None, None, WIDTH)
        self.conv.build((None, None, None, self.channels))
        self.norm.build(shape)
        for stage in self.stages:
            for block in stage:
                block.build(shape)
                shape = block.compute_output_shape(shape)

    def call(self, images):
        require_rank(images, 4, "images", "(batch, height, width, channels)")
        require_width(images, self.channels, "images")
        x = ops.relu(self.norm(self.conv(images)))
        x = ops.max_pool(x, 3, strides=2, padding="same", data_format="channels_last")
        for stage in self.stages:
            for block in stage:
                x = block(x)
        return x

    def compute_output_shape(self, input_shape):
        batch, *size, _ = input_shape
        for _ in range(len(self.blocks[1:]) + 2):
            size = [None if length is None else -(-length // 2) for length in size]
        return (batch, *size, resnet_width(self.blocks))


def _group_norm(policy, name: str) -> keras.layers.GroupNormalization:
    return keras.layers.GroupNormalization(GROUPS, epsilon=1e-5, dtype=policy, name=name)
