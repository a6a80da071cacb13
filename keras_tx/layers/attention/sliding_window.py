"""Attention to what is near: a sliding window, perhaps dilated, perhaps with global tokens."""

from __future__ import annotations

from typing import Any, ClassVar

from keras import ops

from keras_tx.layers.attention.variant import AttentionVariant, of_keys, require_keys
from keras_tx.layers.core.base import register
from keras_tx.ops.attention import masks
from keras_tx.ops.attention.blocks import SharedKeys, band, band_attention
from keras_tx.ops.attention.cache import KVCache
from keras_tx.ops.attention.ring_cache import RingCache
from keras_tx.ops.attention.softmax import attention
from keras_tx.ops.checks import require_positive
from keras_tx.ops.primitives import is_converted


@register
class SlidingWindowAttention(AttentionVariant):
    """Multi-head attention to the positions less than `window_size` steps away (Beltagy et al. 2020, section 3).

    Time and memory are O(length * window_size). Two things are as large as all pairs of positions by themselves, and
    all pairs are then computed: an attention map, and a mask or bias with a row for each query. In LiteRT and
    ONNX, too, all pairs are computed.

    Args:
        dim: width in and out.
        num_heads: query heads.
        window_size: how many positions a query sees to one side, its own included: causal, `window_size` in all;
            otherwise `2 * window_size - 1`.
        num_kv_heads: key/value heads; as many as `num_heads` unless given.
        dilation: positions a step.
        num_global: how many positions at the start are seen by all others, and see all others unless `causal`.
            Causal decoding by a window that keeps its first positions is StreamingLLM's (Xiao et al. 2023).
        options: `causal`, `head_dim`, `rope_theta`, `scale`, `dropout`, `use_bias`, `qkv_bias`, `qk_norm`,
            `norm_epsilon` and the initializers, as `MultiHeadAttention` takes them.

    Raises:
        ValueError: as `MultiHeadAttention` does; for a window or dilation less than 1, a negative `num_global`; at
            call, for a cache if it is not causal, or together with a map, a bias or a mask for each query.
    """

    by_distance: ClassVar[bool] = True

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: int = 256,
        num_kv_heads: int | None = None,
        *,
        dilation: int = 1,
        num_global: int = 0,
        **options: Any,
    ):
        super().__init__(dim, num_heads, num_kv_heads, **options)
        require_positive(window_size=window_size, dilation=dilation)
        if num_global < 0:
            raise ValueError(f"`num_global` must be at least 0; got {num_global}.")
        self.window_size = window_size
        self.dilation = dilation
        self.num_global = num_global

    @property
    def _band(self) -> dict[str, Any]:
        reach = self.window_size - 1
        return {"before": reach, "after": 0 if self.causal else reach, "dilation": self.dilation}

    def visible(self, query_positions, key_positions):
        query, key = ops.expand_dims(query_positions, -1), ops.expand_dims(key_positions, -2)
        seen = ops.logical_or(band(query_positions, key_positions, **self._band), key < self.num_global)
        return ops.logical_and(seen, key <= query) if self.causal else ops.logical_or(seen, query < self.num_global)

    def _attend(self, query, key, value, mask, bias, cache, *, return_attention, training):
        self._require_causal(cache)
        if cache is not None and not cache.by_position:
            self._require_cacheable(mask, bias, return_attention)
            return self._attend_ring(query, key, value, mask, cache, self._softmax_options(training))
        length = query.shape[2]
        # Converters, and JAX where a length is a symbol, confuse the shapes of bands of unknown length.
        short = length is not None and (not isinstance(length, int) or length <= self.window_size)
        all_pairs = cache is not None or short or is_converted()
        if not all_pairs and bias is None and not return_attention and of_keys(mask):
            if mask is not None:
                require_keys(mask, key)
            return self._attend_near(query, key, value, mask, self._softmax_options(training)), None
        keys = self._meet((key, value), mask, cache, queries=ops.shape(query)[2], explicit=True)
        return self._softmax(query, keys, bias=bias, return_attention=return_attention, training=training), keys.cache

    def _attend_near(self, query, key, value, mask, options: dict):
        """Attends to all positions at once, `mask` being `(B, 1, 1, T)` or None."""
        positions = ops.arange(ops.shape(query)[2], dtype="int32")
        real = None if mask is None else mask[:, 0, 0]
        if not self.num_global:
            return band_attention(query, key, value, mask=real, **self._band, **options)
        count = self.num_global
        sinks = positions[:count]  # fewer in a short sequence
        seen = sinks <= positions[:, None] if self.causal else ops.ones_like(sinks[None], dtype="bool")
        seen = seen[None] if real is None else ops.logical_and(seen, real[:, None, :count])
        shared = SharedKeys(key[:, :, :count], value[:, :, :count], seen)
        others = masks.combine((positions >= count)[None], real)
        near = band_attention(query, key, value, mask=others, shared=shared, **self._band, **options)
        if self.causal:
            return near
        everywhere = attention(query[:, :, :count], key, value, mask=mask, **options)
        return ops.concatenate([everywhere, near[:, :, count:]], axis=2)

    def _attend_ring(self, query, key, value, mask, cache: RingCache, options: dict):
        positions = cache.query_positions(ops.shape(query)[2])
        updated = cache.append(key, value, self.num_global)
        if query.shape[2] == 1:
            held = updated.held(self.num_global)
            seen = _held(held, mask)[:, None, None] & self.visible(positions, held)
            return attention(query, updated.key, updated.value, mask=seen, **options), updated
        # The last positions come first again, for the new ones to look at; nobody looks with them.
        old_key, old_value, old = cache.last(self.num_global)
        query = ops.pad(query, ((0, 0), (0, 0), (old_key.shape[2], 0), (0, 0)))
        key, value = ops.concatenate([old_key, key], axis=2), ops.concatenate([old_value, value], axis=2)
        held = ops.concatenate([old, ops.where(positions >= self.num_global, positions, -1)])
        shared = None
        if count := self.num_global:
            at = ops.concatenate([old, positions])
            sinks = ops.arange(count, dtype="int32")
            seen = (sinks <= at[:, None])[None] & _held(sinks, mask)[:, None]
            shared = SharedKeys(updated.key[:, :, :count], updated.value[:, :, :count], seen)
        near = band_attention(query, key, value, mask=_held(held, mask), shared=shared, **self._band, **options)
        return near[:, :, old_key.shape[2] :], updated

    def _require_cacheable(self, mask, bias, return_attention) -> None:
        if return_attention or bias is not None or not of_keys(mask):
            raise ValueError(
                "with a `cache` of the last positions there is neither a map (`return_attention`), nor a `bias`, nor "
                "an `attention_mask` but (batch, keys): leave out the `cache`."
            )

    def init_cache(self, batch_size, length: int) -> RingCache | KVCache:
        """An empty cache: of the window's positions alone, however long the sequence; or of `length`, if fewer.

        In a graph to be converted it is of all positions: a host appends to it.
        """
        if is_converted():
            return super().init_cache(batch_size, length)
        reach = (self.window_size - 1) * self.dilation + 1
        slots = max(1, min(reach, length - self.num_global))
        return RingCache.empty(
            batch_size, self.num_kv_heads, slots, self.head_dim, self.compute_dtype, sink_tokens=self.num_global
        )


def _held(positions, mask):
    """Returns which positions `(S,)` of a cache hold a key that the mask shows, `(B, S)`; empty ones are -1."""
    held = (positions >= 0)[None]
    if mask is None:
        return held
    positions = ops.clip(positions, 0, ops.shape(mask)[-1] - 1)  # a sequence may end before the sink tokens do
    return ops.logical_and(held, ops.take(mask[:, 0, 0], positions, axis=-1))
