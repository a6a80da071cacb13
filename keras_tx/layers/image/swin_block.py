"""The block of Swin Transformers: attention in shifted windows, and a feed-forward network."""

from __future__ import annotations

from typing import Literal

import keras
from keras import ops

from keras_tx.layers.core.base import Layer, register
from keras_tx.layers.core.dropout import Dropout, DropPath
from keras_tx.layers.core.feedforward import FeedForward
from keras_tx.layers.image.window_attention import WindowAttention
from keras_tx.ops.attention import masks
from keras_tx.ops.checks import require_rank, require_rate, require_width
from keras_tx.ops.image import windows
from keras_tx.ops.image.patches import pair
from keras_tx.ops.image.windows import Window


@register
class SwinBlock(Layer):
    """Attention in the windows of a map, shifted or not, and a feed-forward network, each a residual branch.

    Pre-norm is x = x + branch(norm(x)) (Liu et al. 2021, equation 3), post-norm is x = x + norm(branch(x)), where the
    sum itself is not normalized (Liu et al. 2022, section 3.2).

    Maps of any size are taken: they are padded with zeros to whole windows, which tokens do look at. Shifted windows
    wrap around the map's edges; tokens from opposite edges do not look at each other.

    Args:
        dim: width in and out.
        num_heads: heads of the attention.
        window_size: height and width of a window.
        shift: rows and columns that the windows are moved by, less than the window.
        d_ff: width inside the feed-forward network; `4 * dim` unless given.
        dropout: rate on each branch's output.
        norm_position: "pre" or "post".
        norm_epsilon: added to the variance in every norm.
        norm_scale: what the norms' scales start at; 0 with post-norm starts a block as the identity.
        activation: of the feed-forward network, by name.
        scores, position_bias, pretrained_window_size, qkv_bias: as `WindowAttention` takes them.
        attention_dropout: rate on the attention weights.
        drop_path: rate at which a branch is dropped for a whole sample.
        pad_first: whether a map is padded before it is shifted, or after.
        shift_small_maps: whether the shift holds for maps with a side no longer than the window's, too.
        kernel_initializer: of all kernels, and of the table of biases.

    Raises:
        ValueError: for another `norm_position`, a shift that does not lie inside the window, and as the sublayers do;
            at call, for another rank or width.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: Window,
        shift: tuple[int, int] = (0, 0),
        d_ff: int | None = None,
        dropout: float = 0.0,
        *,
        norm_position: Literal["pre", "post"] = "pre",
        norm_epsilon: float = 1e-5,
        norm_scale: float = 1.0,
        activation: str = "gelu",
        scores: Literal["dot", "cosine"] = "dot",
        position_bias: Literal["table", "continuous"] = "table",
        pretrained_window_size: Window | None = None,
        qkv_bias: bool = True,
        attention_dropout: float = 0.0,
        drop_path: float = 0.0,
        pad_first: bool = False,
        shift_small_maps: bool = True,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if norm_position not in ("pre", "post"):
            raise ValueError(f'`norm_position` must be "pre" or "post"; got {norm_position!r}.')
        require_rate(dropout=dropout, attention_dropout=attention_dropout, drop_path=drop_path)
        self.dim = dim
        self.num_heads = num_heads
        self.window_size = pair(window_size)
        self.shift = pair(shift)
        if any(not 0 <= steps < size for steps, size in zip(self.shift, self.window_size, strict=True)):
            raise ValueError(f"`shift` must lie inside the window of {self.window_size}; got {self.shift}.")
        self.d_ff = d_ff
        self.dropout = dropout
        self.norm_position = norm_position
        self.norm_epsilon = norm_epsilon
        self.norm_scale = norm_scale
        self.activation = activation
        self.scores = scores
        self.position_bias = position_bias
        self.pretrained_window_size = pretrained_window_size
        self.qkv_bias = qkv_bias
        self.attention_dropout = attention_dropout
        self.drop_path = drop_path
        self.pad_first = pad_first
        self.shift_small_maps = shift_small_maps
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

        common = {"kernel_initializer": self.kernel_initializer, "dtype": self.dtype_policy}
        self.attention = WindowAttention(
            dim,
            num_heads,
            self.window_size,
            scores=scores,
            position_bias=position_bias,
            pretrained_window_size=pretrained_window_size,
            qkv_bias=qkv_bias,
            dropout=attention_dropout,
            name="attention",
            **common,
        )
        self.attention_norm = self._norm("attention_norm")
        self.feed_forward = FeedForward(dim, d_ff or 4 * dim, activation=activation, name="feed_forward", **common)
        self.feed_forward_norm = self._norm("feed_forward_norm")
        self.drop = Dropout(dropout, dtype=self.dtype_policy, name="drop")
        self.stochastic_depth = DropPath(drop_path, dtype=self.dtype_policy, name="drop_path")

    def _norm(self, name: str):
        return keras.layers.LayerNormalization(
            epsilon=self.norm_epsilon,
            gamma_initializer=keras.initializers.Constant(self.norm_scale),
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, input_shape=None):
        shape = (None, None, None, self.dim)
        self.attention.build()
        self.feed_forward.build(shape)
        for norm in (self.attention_norm, self.feed_forward_norm):
            norm.build(shape)

    def call(self, x, return_attention: bool = False, training=None):
        """One block.

        Args:
            x: a map, `(B, H, W, dim)`.
            return_attention: also return the attention maps.
            training: whether dropout is active.

        Returns:
            `(B, H, W, dim)`; with `return_attention`, then the maps of the windows, `(B * N, num_heads, T, T)`: an
            image's windows row by row, as they lie after the shift.
        """
        require_rank(x, 4, "x", "(batch, height, width, dim)")
        require_width(x, self.dim, "x")
        y, *weights = self._attend(self._enter(x, self.attention_norm), return_attention, training)
        x = self._leave(x, y, self.attention_norm, training)
        y = self.feed_forward(self._enter(x, self.feed_forward_norm), training=training)
        x = self._leave(x, y, self.feed_forward_norm, training)
        return (x, *weights) if return_attention else x

    def _attend(self, x, return_attention: bool, training) -> tuple:
        """Attention in windows: a map of the same size, and the weights if asked for."""
        batch, height, width, _ = ops.shape(x)
        window, shift = self.window_size, self._shift_at(height, width)
        x = windows.pad(x, window) if self.pad_first else x
        _, *rolled, _ = ops.shape(x)
        x = windows.pad(windows.roll(x, shift), window)
        _, *size, _ = ops.shape(x)
        attended = self.attention(
            windows.partition(x, window),
            self._mask(batch, tuple(size), shift),
            return_attention=return_attention,
            training=training,
        )
        y, *weights = attended if return_attention else (attended,)
        y = windows.crop(windows.merge(y, window, tuple(size)), *rolled)
        y = windows.crop(windows.roll(y, (-shift[0], -shift[1])), height, width)
        return (y, *weights)

    def _shift_at(self, height, width) -> tuple:
        """Returns the shift at maps of this height and width; tensors where that depends on a size not known yet."""
        if self.shift_small_maps or self.shift == (0, 0):
            return self.shift
        limit = min(self.window_size)
        if isinstance(height, int) and isinstance(width, int):
            return self.shift if min(height, width) > limit else (0, 0)
        large = ops.minimum(height, width) > limit
        return tuple(ops.where(large, steps, 0) for steps in self.shift)

    def _mask(self, batch, size: tuple, shift: tuple):
        """Returns which tokens of a window look at which, `(B * N, 1, T, T)`; None where all look at all."""
        if windows.are_zero(*shift):
            return None
        segments = ops.tile(windows.segments(size, self.window_size, shift), (batch, 1))
        return ops.expand_dims(masks.segments(segments, segments), 1)

    def _enter(self, x, norm):
        return norm(x) if self.norm_position == "pre" else x

    def _leave(self, x, y, norm, training):
        y = self.drop(y, training=training)
        return x + self.stochastic_depth(y if self.norm_position == "pre" else norm(y), training=training)

    def compute_output_shape(self, input_shape):
        return input_shape
