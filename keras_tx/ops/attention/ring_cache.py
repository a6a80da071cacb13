"""The key/value cache of a sliding window: as many slots as the window, written in turn.

The first `pinned` positions, which every query may look at, keep slots of their own before the others.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from keras_tx.ops.primitives import write


class RingCache(NamedTuple):
    """The keys and values of one attention layer, of the last positions alone.

    What has been overwritten cannot be had back: generation that takes tokens back (an assistant's drafts,
    contrastive search) needs a `KVCache`.

    Attributes:
        key: `(B, K, P + R, D)`: P pinned slots, then R in turn.
        value: `(B, K, P + R, D)`.
        index: int32 scalar, how many positions there have been.
    """

    key: Any
    value: Any
    index: Any


def init_ring_cache(
    batch_size, num_kv_heads: int, slots: int, head_dim: int, dtype: str = "float32", *, pinned: int = 0
) -> RingCache:
    """An empty cache of `pinned + slots` slots."""
    shape = (batch_size, num_kv_heads, pinned + slots, head_dim)
    return RingCache(ops.zeros(shape, dtype), ops.zeros(shape, dtype), ops.zeros((), "int32"))


def ring_positions(cache: RingCache, pinned: int = 0):
    """The position that each slot holds, `(P + R,)` int32; -1 where it is empty."""
    slots = ops.arange(cache.key.shape[2], dtype="int32")
    return _positions(slots, cache.key.shape[2], cache.index, pinned)


def last_positions(cache: RingCache, pinned: int = 0) -> tuple:
    """Keys and values in order: of the last R positions, `(B, K, R, D)`, and those positions, `(R,)`.

    Positions before the first, and pinned ones, are -1, and what stands there means nothing.
    """
    ring = cache.key.shape[2] - pinned
    positions = cache.index - ring + ops.arange(ring, dtype="int32")
    slots = pinned + (positions - pinned) % ring
    key, value = (ops.take(x, slots, axis=2) for x in (cache.key, cache.value))
    return key, value, ops.where(positions >= pinned, positions, -1)


def update_ring_cache(cache: RingCache, key, value, pinned: int = 0) -> RingCache:
    """Puts keys and values `(B, K, T, D)` of the next T positions into their slots, over the oldest ones."""
    count, slots = ops.shape(key)[2], cache.key.shape[2]
    index = cache.index + count
    if key.shape[2] == 1:
        slot = ops.where(cache.index < pinned, cache.index, pinned + (cache.index - pinned) % (slots - pinned))
        key, value = (
            write(old, ops.cast(new, old.dtype), slot, axis=2) for old, new in ((cache.key, key), (cache.value, value))
        )
        return RingCache(key, value, index)
    positions = _positions(ops.arange(slots, dtype="int32"), slots, index, pinned)
    new = ops.reshape(positions >= cache.index, (1, 1, slots, 1))
    source = ops.clip(positions - cache.index, 0, count - 1)
    key, value = (
        ops.where(new, ops.cast(ops.take(x, source, axis=2), old.dtype), old)
        for old, x in ((cache.key, key), (cache.value, value))
    )
    return RingCache(key, value, index)


def _positions(slots, count: int, index, pinned: int):
    """What each slot holds after `index` positions; -1 for nothing."""
    ring = count - pinned
    last = index - 1 - (index - 1 - slots) % ring  # of those that are written to this slot in turn
    held = ops.where(slots < pinned, slots, last)
    filled = ops.logical_and(held < index, ops.logical_or(slots < pinned, last >= pinned))
    return ops.where(filled, held, -1)
