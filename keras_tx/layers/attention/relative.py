"""Attention to relative positions: by learned vectors (Shaw et al.), or by projected sinusoids (Transformer-XL).

Both add to the score of each query and key a product of the query and a vector that belongs to their offset. All
queries meet the vectors of all offsets, and a change of shape puts the products beside their keys.
"""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import ops

from keras_tx.layers.attention.variant import AttentionVariant
from keras_tx.layers.core.base import register
from keras_tx.ops.attention.positions import by_key, by_offset, relative_offsets, sinusoidal
from keras_tx.ops.checks import require_even, require_positive, require_rank, require_width


@register
class RelativePositionAttention(AttentionVariant):
    """Multi-head attention with a learned vector for each offset added to keys and to values (Shaw et al. 2018).

    The vectors are those of the offsets from `-max_relative_position` to `max_relative_position`, shared by the heads;
    keys further off have those of the ends.

    Args:
        d_model: width in and out.
        num_heads: query heads.
        max_relative_position: the largest offset that is told from larger ones; k in the paper.
        num_kv_heads: key/value heads; as many as `num_heads` unless given.
        relative_values: whether there are vectors for values as well.
        table_initializer: of the vectors.
        options: those of `MultiHeadAttention` but `context_dim` and `chunk_size`.

    Raises:
        ValueError: as `MultiHeadAttention` does; for a `max_relative_position` less than 1.
    """

    without: ClassVar = ("context_dim", "chunk_size")
    width_name: ClassVar[str] = "d_model"
    by_distance: ClassVar[bool] = True

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        max_relative_position: int = 16,
        num_kv_heads: int | None = None,
        *,
        relative_values: bool = True,
        table_initializer="glorot_uniform",
        **options: Any,
    ):
        super().__init__(d_model, num_heads, num_kv_heads, **options)
        require_positive(max_relative_position=max_relative_position)
        self.max_relative_position = max_relative_position
        self.relative_values = relative_values
        self.table_initializer = keras.initializers.get(table_initializer)

    def build(self, input_shape=None):
        super().build(input_shape)
        shape = (2 * self.max_relative_position + 1, self.head_dim)
        options: dict[str, Any] = {"shape": shape, "initializer": self.table_initializer}
        self.key_table = self.add_weight(name="key_table", **options)
        if self.relative_values:
            self.value_table = self.add_weight(name="value_table", **options)

    def _attend(self, query, key, value, mask, bias, cache, **asked):
        queries = ops.shape(query)[2]
        keys = self._meet((key, value), mask, cache, queries=queries)
        count = ops.shape(keys.tensors[0])[2]
        offsets = relative_offsets(0 if cache is None else cache.fill, queries, count)
        farthest = self.max_relative_position
        rows = ops.clip(offsets, -farthest, farthest) + farthest
        scores = ops.einsum("bhtd,rd->bhtr", query * self._scale(query), _take(self.key_table, rows, query.dtype))
        scores = by_key(scores, count)
        bias = scores if bias is None else scores + ops.cast(bias, scores.dtype)

        def value_bias(weights):
            return ops.einsum("bhtr,rd->bhtd", by_offset(weights), _take(self.value_table, rows, weights.dtype))

        asked["value_bias"] = value_bias if self.relative_values else None
        return self._softmax(query, keys, bias=bias, **asked), keys.cache


@register
class TransformerXLAttention(AttentionVariant):
    """Multi-head attention to relative positions and to the segments before (Transformer-XL, Dai et al. 2019).

    The score of query i and key j is `scale * ((q_i + u) k_j + (q_i + v) W r_{i-j})` (section 3.3), `r` being the
    sinusoids of the distance; u and v are learned for each head. Causal unless told otherwise, as XLNet's is.

    Args:
        d_model: width in and out, even.
        num_heads: query heads.
        num_kv_heads: key/value heads; as many as `num_heads` unless given.
        causal: whether a position sees only itself and those before it.
        bias_initializer: of u and v.
        options: those of `MultiHeadAttention` but `context_dim`, `rotary`, `rope_theta` and `alibi`.

    Raises:
        ValueError: as `MultiHeadAttention` does; for an odd `d_model`; at call, for a memory of another rank or width,
            or together with a cache.
    """

    without: ClassVar = ("context_dim", "rotary", "rope_theta", "alibi")
    width_name: ClassVar[str] = "d_model"
    by_distance: ClassVar[bool] = True

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        num_kv_heads: int | None = None,
        *,
        causal: bool = True,
        bias_initializer="zeros",
        **options: Any,
    ):
        super().__init__(d_model, num_heads, num_kv_heads, causal=causal, **options)
        require_even(d_model=d_model)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.position = self._projection(self.num_heads * self.head_dim, "position", False)

    def build(self, input_shape=None):
        super().build(input_shape)
        self.position.build((None, self.d_model))
        options: dict[str, Any] = {"shape": (self.num_heads, 1, self.head_dim), "initializer": self.bias_initializer}
        self.content_bias = self.add_weight(name="content_bias", **options)
        self.position_bias = self.add_weight(name="position_bias", **options)

    def call(  # what is remembered stands where a context would
        self,
        x,
        memory=None,
        attention_mask=None,
        bias=None,
        positions=None,
        segments=None,
        cache=None,
        return_attention: bool = False,
        training=None,
        mask=None,
        x_mask=None,
        memory_mask=None,
    ):
        """Attends from `x` to what is remembered and to itself.

        Args:
            x: `(B, T, d_model)`.
            memory: this layer's inputs at the M positions before, `(B, M, d_model)`; no gradient goes there.
            attention_mask, bias, segments, return_attention, training: as in `MultiHeadAttention`, with S = M + T keys.
            positions: not looked at, for what counts is how far apart two tokens stand.
            cache: from `init_cache`, in place of a memory.
            mask, x_mask, memory_mask: Keras's masks of `x` and of `memory`, as in `MultiHeadAttention`.

        Returns:
            As `MultiHeadAttention`.
        """
        if memory is not None and cache is not None:
            raise ValueError("give `memory` or `cache`, not both: what is remembered can be in the cache.")
        asked: dict[str, Any] = {"cache": cache, "return_attention": return_attention, "training": training}
        mask = self._own_mask(mask, x_mask, cache)
        if memory is not None and (mask is not None or memory_mask is not None):
            parts = ((memory, memory_mask), (x, mask))
            mask = ops.concatenate([_all_real(part) if own is None else own for part, own in parts], axis=1)
        return super().call(x, memory, attention_mask, bias, segments=segments, mask=mask, **asked)

    def _keys_values(self, x, context):
        if context is not None:
            require_rank(context, 3, "memory", "(batch, length, d_model)")
            require_width(context, self.d_model, "memory")
            x = ops.concatenate([ops.stop_gradient(ops.cast(context, x.dtype)), x], axis=1)
        return self._projected(x)

    def _slots(self, x, context, cache):
        own, keys = super()._slots(x, None, cache)
        if context is None:
            return own, keys
        remembered = ops.shape(context)[1]
        return own + remembered, ops.arange(remembered + ops.shape(x)[1], dtype="int32")

    def _attend(self, query, key, value, mask, bias, cache, **asked):
        queries = ops.shape(query)[2]
        keys = self._meet((key, value), mask, cache, queries=queries, explicit=self.causal)
        count = ops.shape(keys.tensors[0])[2]
        start = count - queries if cache is None else cache.fill
        sinusoids = ops.cast(sinusoidal(-relative_offsets(start, queries, count), self.d_model), query.dtype)
        vectors = ops.reshape(self.position(sinusoids), (-1, self.num_heads, self.head_dim))
        by_position = (query + ops.cast(self.position_bias, query.dtype)) * self._scale(query)
        scores = by_key(ops.einsum("bhtd,rhd->bhtr", by_position, vectors), count)
        bias = scores if bias is None else scores + ops.cast(bias, scores.dtype)
        query = query + ops.cast(self.content_bias, query.dtype)
        return self._softmax(query, keys, bias=bias, **asked), keys.cache


def _all_real(x):
    """A mask of `(B, T, D)` that hides nothing, `(B, T)`."""
    return ops.ones(ops.shape(x)[:2], "bool")


def _take(table, rows, dtype: str):
    """Rows of a table; the reshape makes the gradient dense."""
    return ops.take(ops.reshape(ops.cast(table, dtype), table.shape), rows, axis=0)
