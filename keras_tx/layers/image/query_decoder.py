"""Learned queries that look for things in a map of features."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops

from keras_tx.layers.blocks.block import TransformerBlock
from keras_tx.layers.core.base import Layer, register
from keras_tx.layers.core.initializers import clone_initializer
from keras_tx.layers.core.linear import Linear
from keras_tx.ops.attention.positions import sinusoidal
from keras_tx.ops.checks import require_positive, require_rank, require_width


class Decoded(NamedTuple):
    """The output of a `QueryDecoder`: each block's queries, normalized, and its attention maps if asked for."""

    states: tuple
    encoder_attentions: tuple = ()
    decoder_attentions: tuple = ()
    cross_attentions: tuple = ()


@register
class QueryDecoder(Layer):
    """A transformer decoder of learned queries over a map of features (DETR, Carion et al. 2020, section 3.2).

    The map is brought to the decoder's width, and sinusoids of row and column are added. The queries are a table that
    is learned; in each block they look at one another, then at the map. Blocks are pre-norm, and the queries are what
    the first one gets, where the paper adds them again in every block to content that starts at 0.

    Input: a map `(B, H, W, dim)`. Output: `Decoded`, whose states are `(B, num_queries, d_model)` each.

    Args:
        dim: width of the map.
        num_queries: the queries.
        d_model: width of the decoder, a multiple of 4.
        num_heads: heads of all attention.
        d_ff: width inside the feed-forward networks.
        num_layers: blocks of the decoder.
        encoder_num_layers: blocks of self-attention that the map goes through first; for maps whose tokens have not
            looked at the whole image.
        dropout: rate on each residual branch.
        norm_epsilon: added to the variance in every norm.
        kernel_initializer: of all kernels; the queries are drawn with a standard deviation of 1.

    Raises:
        ValueError: for sizes less than 1, or that do not divide; at call, for another rank or width.
    """

    def __init__(
        self,
        dim: int,
        num_queries: int = 100,
        d_model: int = 256,
        num_heads: int = 8,
        d_ff: int = 2048,
        num_layers: int = 6,
        encoder_num_layers: int = 0,
        dropout: float = 0.0,
        *,
        norm_epsilon: float = 1e-5,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_positive(dim=dim, num_queries=num_queries, d_model=d_model, num_layers=num_layers)
        if d_model % 4:
            raise ValueError(f"`d_model` must be a multiple of 4, for sinusoids of rows and of columns; got {d_model}.")
        self.dim = dim
        self.num_queries = num_queries
        self.d_model = d_model
        self.num_heads = num_heads
        self.d_ff = d_ff
        self.num_layers = num_layers
        self.encoder_num_layers = encoder_num_layers
        self.dropout = dropout
        self.norm_epsilon = norm_epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.projection = Linear(
            d_model,
            kernel_initializer=clone_initializer(self.kernel_initializer),
            dtype=self.dtype_policy,
            name="projection",
        )
        self.encoder_blocks = [self._block(f"encoder_block_{i}") for i in range(encoder_num_layers)]
        self.encoder_norm = self._norm("encoder_norm") if encoder_num_layers else None
        self.blocks = [self._block(f"block_{i}", context_dim=d_model) for i in range(num_layers)]
        self.norm = self._norm("norm")

    def _block(self, name: str, context_dim: int | None = None) -> TransformerBlock:
        return TransformerBlock(
            self.d_model,
            self.num_heads,
            self.d_ff,
            self.dropout,
            context_dim=context_dim,
            norm_epsilon=self.norm_epsilon,
            kernel_initializer=clone_initializer(self.kernel_initializer),
            dtype=self.dtype_policy,
            name=name,
        )

    def _norm(self, name: str) -> keras.layers.LayerNormalization:
        return keras.layers.LayerNormalization(epsilon=self.norm_epsilon, dtype=self.dtype_policy, name=name)

    def build(self, input_shape=None):
        self.projection.build((None, None, None, self.dim))
        shape = (1, self.num_queries, self.d_model)
        self.queries = self.add_weight(
            shape=shape, initializer=keras.initializers.RandomNormal(stddev=1.0), name="queries"
        )
        norms = [self.norm] if self.encoder_norm is None else [self.encoder_norm, self.norm]
        for layer in (*self.encoder_blocks, *self.blocks, *norms):
            layer.build((None, None, self.d_model))

    def call(self, x, return_attention: bool = False, training=None):
        require_rank(x, 4, "x", "(batch, height, width, dim)")
        require_width(x, self.dim, "x")
        options = {"return_attention": return_attention, "training": training}
        context, encoder_maps = self._encode(x, options)
        x = ops.repeat(ops.cast(self.queries, context.dtype), ops.shape(context)[0], axis=0)
        states, maps = list[Any](), list[Any]()
        for block in self.blocks:
            result = block(x, context, **options)
            x, *weights = result if return_attention else (result,)
            states.append(self.norm(x))
            maps.extend(weights)
        own, crossed = zip(*maps, strict=True) if maps else ((), ())
        return Decoded(tuple(states), encoder_maps, own, crossed)

    def _encode(self, x, options: dict) -> tuple:
        """Returns the tokens that the queries look at, `(B, H * W, d_model)`, and the encoder's attention maps."""
        batch, height, width, _ = ops.shape(x)
        x = ops.reshape(self.projection(x), (batch, height * width, self.d_model))
        x = x + ops.cast(grid_positions(height, width, self.d_model), x.dtype)
        maps = list[Any]()
        for block in self.encoder_blocks:
            result = block(x, **options)
            x, *weights = result if options["return_attention"] else (result,)
            maps.extend(weights)
        return x if self.encoder_norm is None else self.encoder_norm(x), tuple(maps)


def grid_positions(height, width, dim: int):
    """Sinusoids of the places of a map, row by row, float32 `(H * W, dim)`: of the row, then of the column."""
    rows, columns = (sinusoidal(ops.arange(length), dim // 2) for length in (height, width))
    rows = ops.repeat(rows, width, axis=0)
    return ops.concatenate([rows, ops.tile(columns, (height, 1))], axis=-1)
