"""Attention in the windows of a feature map, as Swin Transformers have it."""

from __future__ import annotations

import math
from typing import Literal

import keras
from keras import ops

from keras_tx.layers.core.base import Layer, register
from keras_tx.layers.core.initializers import clone_initializer
from keras_tx.layers.core.linear import Linear
from keras_tx.layers.image.window_bias import ContinuousPositionBias, RelativePositionBias, require_window
from keras_tx.ops.attention.softmax import attention
from keras_tx.ops.checks import require_divides, require_positive, require_rate, require_shape
from keras_tx.ops.image.patches import pair
from keras_tx.ops.image.windows import Window

MAX_SCALE = 100.0
"""The largest scale of cosines."""


@register
class WindowAttention(Layer):
    """Multi-head attention among the tokens of each window, with a bias by their relative position.

    Scores are scaled dot products (Liu et al. 2021), or cosines times a learned scale of at most 100 for each head
    (Liu et al. 2022, section 3.2); keys then have no bias.

    Args:
        dim: width in and out.
        num_heads: heads.
        window_size: height and width of a window.
        scores: "dot" or "cosine".
        position_bias: "table" (`RelativePositionBias`) or "continuous" (`ContinuousPositionBias`).
        pretrained_window_size: as `ContinuousPositionBias` takes it.
        qkv_bias: whether queries, keys and values have biases.
        dropout: rate on the attention weights.
        kernel_initializer: of all kernels, and of the table.

    Raises:
        ValueError: for sizes less than 1, heads that do not divide, a rate outside [0, 1), unknown `scores` or
            `position_bias`; at call, for another rank, width or number of tokens.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: Window,
        *,
        scores: Literal["dot", "cosine"] = "dot",
        position_bias: Literal["table", "continuous"] = "table",
        pretrained_window_size: Window | None = None,
        qkv_bias: bool = True,
        dropout: float = 0.0,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_positive(dim=dim, num_heads=num_heads)
        require_divides(dim, num_heads, "dim", "num_heads")
        require_rate(dropout=dropout)
        require_window(window_size, "window_size")
        if scores not in ("dot", "cosine"):
            raise ValueError(f'`scores` must be "dot" or "cosine"; got {scores!r}.')
        if position_bias not in ("table", "continuous"):
            raise ValueError(f'`position_bias` must be "table" or "continuous"; got {position_bias!r}.')
        self.dim = dim
        self.num_heads = num_heads
        self.window_size = pair(window_size)
        self.scores = scores
        self.position_bias = position_bias
        self.pretrained_window_size = pretrained_window_size
        self.qkv_bias = qkv_bias
        self.dropout = dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.query = self._projection("query", qkv_bias)
        self.key = self._projection("key", qkv_bias and scores == "dot")
        self.value = self._projection("value", qkv_bias)
        self.output_projection = self._projection("output", True)
        self.bias = self._bias()
        self.seed_generator = keras.random.SeedGenerator() if dropout else None

    def _projection(self, name: str, use_bias: bool) -> Linear:
        initializer = clone_initializer(self.kernel_initializer)
        return Linear(self.dim, use_bias=use_bias, kernel_initializer=initializer, dtype=self.dtype_policy, name=name)

    def _bias(self) -> Layer:
        options = {"dtype": self.dtype_policy, "name": "position_bias"}
        initializer = clone_initializer(self.kernel_initializer)
        if self.position_bias == "table":
            return RelativePositionBias(self.window_size, self.num_heads, initializer, **options)
        return ContinuousPositionBias(
            self.window_size,
            self.num_heads,
            self.pretrained_window_size,
            kernel_initializer=initializer,
            **options,
        )

    def build(self, input_shape=None):
        for projection in (self.query, self.key, self.value, self.output_projection):
            projection.build((None, self.dim))
        self.bias.build()
        if self.scores == "cosine":
            initializer = keras.initializers.Constant(math.log(10.0))
            self.logit_scale = self.add_weight(
                shape=(self.num_heads, 1, 1), initializer=initializer, autocast=False, name="logit_scale"
            )

    def call(self, x, attention_mask=None, return_attention: bool = False, training=None):
        """Attends in each window.

        Args:
            x: windows, `(B * N, T, dim)`.
            attention_mask: boolean, True where a query may look, broadcastable to `(B * N, num_heads, T, T)`.
            return_attention: also return the attention maps.
            training: whether dropout is active.

        Returns:
            `(B * N, T, dim)`; with `return_attention`, then the maps, `(B * N, num_heads, T, T)`.
        """
        require_shape(x, (None, self.window_size[0] * self.window_size[1], self.dim), "x")
        query, key, value = (self._split(project(x)) for project in (self.query, self.key, self.value))
        scale = None
        if self.scores == "cosine":
            query, key = _unit(query), _unit(key)
            scales = ops.exp(ops.minimum(ops.cast(self.logit_scale, query.dtype), math.log(MAX_SCALE)))
            query, key = ops.cast(query * scales, x.dtype), ops.cast(key, x.dtype)
            scale = 1.0
        attended = attention(
            query,
            key,
            value,
            mask=attention_mask,
            bias=self.bias.pairs(),
            scale=scale,
            dropout=self.dropout,
            seed=self.seed_generator if training else None,
            return_weights=return_attention,
        )
        output, *weights = attended if return_attention else (attended,)
        output = self.output_projection(ops.reshape(ops.swapaxes(output, 1, 2), ops.shape(x)))
        return (output, *weights) if return_attention else output

    def _split(self, x):
        """`(B * N, T, dim)` to `(B * N, num_heads, T, dim / num_heads)`."""
        return ops.swapaxes(ops.reshape(x, (-1, x.shape[1], self.num_heads, self.dim // self.num_heads)), 1, 2)

    def compute_output_shape(self, input_shape):
        return input_shape


def _unit(x):
    """Vectors along the last axis divided by their lengths, in float32 or wider; zeros stay zeros."""
    x = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=-1, keepdims=True), 1e-24))
