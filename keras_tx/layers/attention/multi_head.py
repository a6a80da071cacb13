"""Multi-head attention: with fewer key/value heads, to itself or to a context."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import keras
from keras import ops

from keras_tx.layers.attention.base import Attention, Keys
from keras_tx.layers.core.base import register
from keras_tx.ops.attention import masks
from keras_tx.ops.attention.cache import KVCache
from keras_tx.ops.attention.positions import alibi
from keras_tx.ops.attention.rotary import Rotary, rotate
from keras_tx.ops.attention.softmax import attention
from keras_tx.ops.checks import (
    require_divides,
    require_positive,
    require_rank,
    require_rate,
    require_width,
)


@register
class MultiHeadAttention(Attention):
    """Attention in several heads (Vaswani et al. 2017, section 3.2.2), with any number of key/value heads.

    Args:
        d_model: width of the input and the output.
        num_heads: query heads.
        num_kv_heads: key/value heads, a divisor of `num_heads`; as many as `num_heads` unless given.
        context_dim: width of the context that keys and values come from, for cross attention; None for
            self-attention.
        head_dim: width of a head; `d_model / num_heads` unless given.
        causal: whether a position sees only itself and those before it.
        rope_theta: base of rotary position embeddings on queries and keys; None for none.
        rotary: these embeddings with more to say than a base: a `Rotary`, or its fields.
        alibi: whether scores fall with the distance (Press et al. 2022), by `ops.alibi`.
        scale: multiplies the scores; `head_dim ** -0.5` unless given.
        soft_cap: bounds the scores, as in `ops.attention`; None for no bound.
        sinks: whether each head has a learned score of nothing, which takes its share of the weights (gpt-oss, 2025).
        dropout: rate on the attention weights.
        chunk_size: keys at a time, for memory that grows with the length alone; see `ops.attention`.
        use_bias: whether the four projections have biases.
        qkv_bias: whether those to queries, keys and values have, if other.
        qk_norm: how each head's queries and keys are normalized over its width: "layer" or True (Dehghani et al.
            2023), "rms" (as Gemma 3 and Qwen3 have it), or False for not at all.
        norm_epsilon: added to the variance, or mean square, in these norms.
        kernel_initializer: of the projections' kernels.
        output_initializer: of the output projection's kernel, if other.
        query_initializer: of the queries' kernel, if other.

    Raises:
        ValueError: for sizes less than 1, heads that do not divide, a rate outside [0, 1), an odd width under
            rotary embeddings, and cross attention that is causal or rotary; at call, for ranks, widths and masks
            that do not fit, and a context where there should be none or none where there should be one.
    """

    width_name: ClassVar[str] = "d_model"
    """The name of the first argument, for errors."""

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        num_kv_heads: int | None = None,
        *,
        context_dim: int | None = None,
        head_dim: int | None = None,
        causal: bool = False,
        rope_theta: float | None = None,
        rotary: Rotary | dict | None = None,
        alibi: bool = False,
        scale: float | None = None,
        soft_cap: float | None = None,
        sinks: bool = False,
        dropout: float = 0.0,
        chunk_size: int | None = None,
        use_bias: bool = True,
        qkv_bias: bool | None = None,
        qk_norm: bool | Literal["layer", "rms"] = False,
        norm_epsilon: float = 1e-5,
        kernel_initializer="glorot_uniform",
        output_initializer=None,
        query_initializer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_positive(**{self.width_name: d_model}, num_heads=num_heads, num_kv_heads=num_kv_heads)
        require_positive(context_dim=context_dim, head_dim=head_dim, chunk_size=chunk_size)
        require_rate(dropout=dropout)
        if head_dim is None:
            require_divides(d_model, num_heads, self.width_name, "num_heads")
        if num_kv_heads is not None:
            require_divides(num_heads, num_kv_heads, "num_heads", "num_kv_heads")
        if rope_theta and rotary:
            raise ValueError("give `rope_theta` or `rotary`, which has one of its own, not both.")
        if context_dim is not None and (causal or rope_theta or rotary or alibi):
            raise ValueError(
                "cross attention (`context_dim` given) can be neither `causal` nor rotary nor have `alibi`."
            )
        if soft_cap is not None and not soft_cap > 0:
            raise ValueError(f"`soft_cap` must be above 0, or None for none; got {soft_cap}.")
        if qk_norm not in (True, False, "layer", "rms"):
            raise ValueError(f'`qk_norm` must be "layer", "rms", True or False; got {qk_norm!r}.')
        self.d_model = d_model
        self.num_heads = num_heads
        self.num_kv_heads = num_kv_heads or num_heads
        self.context_dim = context_dim
        self.head_dim = head_dim or d_model // num_heads
        self.causal = causal
        self.rope_theta = rope_theta
        self.rotary = Rotary.of(rotary)
        self.alibi = alibi
        self.scale = scale
        self.soft_cap = soft_cap
        self.sinks = sinks
        self.dropout = dropout
        self.chunk_size = chunk_size
        self.use_bias = use_bias
        self.qkv_bias = qkv_bias
        self.qk_norm = qk_norm
        self.norm_epsilon = norm_epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.output_initializer = keras.initializers.get(output_initializer)
        self.query_initializer = keras.initializers.get(query_initializer)
        self._rotation = self.rotary or Rotary.of(rope_theta)
        if self._rotation:
            self._rotation.width(self.head_dim)  # an odd width is an error now, not at the first call
        qkv_bias = use_bias if qkv_bias is None else qkv_bias
        self.query = self._projection(self.num_heads * self.head_dim, "query", qkv_bias, self.query_initializer)
        self.key = self._projection(self.num_kv_heads * self.head_dim, "key", qkv_bias)
        self.value = self._projection(self.num_kv_heads * self.head_dim, "value", qkv_bias)
        self.output_projection = self._projection(d_model, "output", use_bias, self.output_initializer)
        if qk_norm:
            kind: Literal["layer", "rms"] = "rms" if qk_norm == "rms" else "layer"
            self.query_norm, self.key_norm = self._norm(kind, "query_norm"), self._norm(kind, "key_norm")
        self.seed_generator = keras.random.SeedGenerator() if dropout else None

    def build(self, input_shape=None):
        self.query.build((None, self.d_model))
        for projection in (self.key, self.value):
            projection.build((None, self.context_dim or self.d_model))
        self.output_projection.build((None, self.num_heads * self.head_dim))
        if self.qk_norm:
            self.query_norm.build((None, self.head_dim))
            self.key_norm.build((None, self.head_dim))
        if self.sinks:
            self.sink_scores = self.add_weight(
                shape=(self.num_heads,), initializer="zeros", autocast=False, name="sink_scores"
            )

    def call(
        self,
        x,
        context=None,
        attention_mask=None,
        bias=None,
        positions=None,
        segments=None,
        cache: KVCache | None = None,
        return_attention: bool = False,
        training=None,
        mask=None,
        x_mask=None,
        context_mask=None,
    ):
        """Attends from `x` to itself, or to `context`.

        Args:
            x: `(B, T, d_model)`.
            context: `(B, S, context_dim)`, for cross attention; None if `cache` holds its keys and values.
            attention_mask: True, or not 0, where a query may look: `(B, S)`, `(B, T, S)` or `(B, H, T, S)`. With a
                cache, S is the cache's length. Or a function of the positions of queries `(T,)` and keys `(S,)`,
                counted from 0, as those of `ops.masks`, that gives `(T, S)` or one of these. Causality is added by
                the layer.
            bias: added to the scores, broadcastable to `(B, H, T, S)`.
            positions: integers `(T,)` or `(B, T)`, for rotary embeddings; counted from the cache's fill, or 0,
                unless given. Or the cosines and sines of these, a pair, as `Rotary.tables` gives them.
            segments: integers `(B, S)`; a query looks only at keys of its own segment (packed sequences).
            cache: from `init_cache`; keys and values of `x` are appended to it. For cross attention, from
                `project_context`, and only read.
            return_attention: also return the attention map.
            training: whether dropout is active.
            mask, x_mask, context_mask: Keras's masks of `x` and of `context`, False at padding, `(B, T)` and `(B, S)`,
                which Keras gives by these names where `mask_zero` or `Masking` made them. Nobody looks at padding.

        Returns:
            The output, `(B, T, d_model)`; with `return_attention`, then the map `(B, H, T, S)`; with `cache`, then
            the new cache.
        """
        require_rank(x, 3, "x", "(batch, length, d_model)")
        require_width(x, self.d_model, "x")
        query = self._split(self.query, x, self.num_heads)
        query = self.query_norm(query) if self.qk_norm else query
        own = context_mask if self.context_dim is not None else self._own_mask(mask, x_mask, cache)
        mask = masks.with_keys(self._mask(attention_mask, segments, x, context, cache), own)
        asked: dict[str, Any] = {"return_attention": return_attention, "training": training}
        if self.context_dim is not None:
            source = self.project_context(context) if cache is None else cache
            attended, _ = self._attend(query, source.key, source.value, mask, bias, None, **asked)
        else:
            key, value = self._keys_values(x, context)
            if self._rotation:
                query, key = self._rotate(query, key, self._rotation, positions, cache)
            if self.alibi:
                slopes = alibi(*self._slots(x, context, cache), self.num_heads)
                bias = slopes if bias is None else slopes + ops.cast(bias, slopes.dtype)
            attended, cache = self._attend(query, key, value, mask, bias, cache, **asked)
        output, *weights = attended if return_attention else (attended,)
        output = self.output_projection(self._merge(output))
        extras = (*weights, *(() if cache is None else (cache,)))
        return (output, *extras) if extras else output

    def _attend(self, query, key, value, mask, bias, cache, *, return_attention, training):
        """The output of each head, `(B, H, T, D)`, with the map if asked for; and the new cache."""
        keys = self._meet((key, value), mask, cache, queries=ops.shape(query)[2])
        return self._softmax(query, keys, bias=bias, return_attention=return_attention, training=training), keys.cache

    def _softmax(self, query, keys: Keys, *, return_attention: bool, training, **others: Any):
        """Calls `ops.attention`, with its arguments `others`: the output `(B, H, T, D)`, and the map if asked for."""
        options = self._softmax_options(training) | others
        options |= {"mask": keys.mask, "causal": keys.causal, "return_weights": return_attention}
        key, value = keys.tensors
        return attention(query, key, value, **options)

    def _softmax_options(self, training) -> dict[str, Any]:
        """The arguments of `ops.attention` that this layer fixes, apart from masks and biases."""
        return {
            "scale": self.scale,
            "soft_cap": self.soft_cap,
            "sinks": self.sink_scores if self.sinks else None,
            "dropout": self.dropout,
            "seed": self.seed_generator if training else None,
            "chunk_size": self.chunk_size,
        }

    def _mask(self, attention_mask, segments, x, context, cache):
        """The mask as `ops.attention` takes it."""
        if segments is not None and self.context_dim is not None:
            raise ValueError("`segments` is for self-attention: give cross attention an `attention_mask` (B, T, S).")
        return masks.given_to_layer(attention_mask, segments, lambda: self._slots(x, context, cache))

    def _slots(self, x, context, cache) -> tuple[Any, Any]:
        """The positions of the queries, `(T,)`, and of all keys, `(S,)`, counted from 0."""
        length = ops.shape(x)[1]
        if self.context_dim is None and cache is not None:
            return cache.query_positions(length), cache.key_positions()
        positions = ops.arange(length, dtype="int32")
        if self.context_dim is None:
            return positions, positions
        return positions, cache.key_positions() if context is None else ops.arange(ops.shape(context)[1], dtype="int32")

    def init_cache(self, batch_size, length: int) -> Any:
        """An empty cache for `length` positions of self-attention."""
        return KVCache.empty(batch_size, self.num_kv_heads, length, self.head_dim, self.compute_dtype)

    def project_context(self, context) -> KVCache:
        """The keys and values of a context `(B, S, context_dim)`, to be computed once and attended to often.

        Raises:
            ValueError: if this is self-attention, or the context is missing or of another rank or width.
        """
        if self.context_dim is None:
            raise ValueError("`project_context` is for cross attention: make the layer with `context_dim`.")
        if context is None:
            raise ValueError("cross attention needs `context`, or a `cache` made by `project_context`.")
        require_rank(context, 3, "context", "(batch, length, context_dim)")
        require_width(context, self.context_dim, "context")
        key, value = self._projected(context)
        return KVCache(key, value, ops.convert_to_tensor(ops.shape(key)[2], "int32"))

    def _keys_values(self, x, context):
        if context is not None:
            raise ValueError("`context` is for cross attention: make the layer with `context_dim`.")
        return self._projected(x)

    def _projected(self, x):
        """The keys and values of `x`, `(B, K, S, D)` each."""
        key, value = self._split(self.key, x, self.num_kv_heads), self._split(self.value, x, self.num_kv_heads)
        return self.key_norm(key) if self.qk_norm else key, value

    def _rotate(self, query, key, rotary: Rotary, positions, cache):
        if positions is None:
            start = 0 if cache is None else cache.fill
            positions = start + ops.arange(ops.shape(query)[2], dtype="int32")
        tables = positions if isinstance(positions, tuple) else rotary.tables(positions, self.head_dim)
        return tuple(rotate(x, *tables, interleaved=rotary.interleaved) for x in (query, key))

    def _scale(self, query):
        scale = self.head_dim**-0.5 if self.scale is None else self.scale
        return ops.cast(scale, query.dtype)
