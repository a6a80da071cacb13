"""The key/value cache of a sliding window: as many slots as the window, written in turn.

The first positions, where every query may look at them (attention sinks, Xiao et al. 2023), keep slots of their own
before the others. A cache does not know how many these are: what asks it says so.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

from keras import ops

from keras_tx.ops.attention.cache import LayerCache
from keras_tx.ops.primitives import write

NO_END = 2**30
"""A position that is never reached."""


class _Ring(NamedTuple):
    key: Any
    value: Any
    index: Any
    end: Any


class RingCache(_Ring, LayerCache):
    """The keys and values of one attention layer, of the last positions alone.

    What has been overwritten cannot be had back: generation that takes tokens back (an assistant's drafts,
    contrastive search) needs a `KVCache`.

    Attributes:
        key: `(B, K, P + R, D)`: the slots of P sink tokens, then R in turn.
        value: `(B, K, P + R, D)`.
        index: int32 scalar, how many positions there have been.
        end: int32 scalar, the first position that it does not take in.
    """

    __slots__ = ()

    @property
    def by_position(self) -> bool:
        return False

    @classmethod
    def empty(
        cls,
        batch_size,
        num_kv_heads: int,
        slots: int,
        head_dim: int,
        dtype: str = "float32",
        *,
        sink_tokens: int = 0,
    ) -> Self:
        """An empty cache of `sink_tokens + slots` slots."""
        shape = (batch_size, num_kv_heads, sink_tokens + slots, head_dim)
        index = ops.zeros((), "int32")
        return cls(ops.zeros(shape, dtype), ops.zeros(shape, dtype), index, ops.full_like(index, NO_END))

    def until(self, end) -> Self:
        return self._replace(end=end)

    def tensors(self) -> dict[str, Any]:
        return {"key": self.key, "value": self.value}

    def held(self, sink_tokens: int = 0):
        """The position that each slot holds, `(P + R,)` int32; -1 where it is empty."""
        return self._held(self.index, sink_tokens)

    def last(self, sink_tokens: int = 0) -> tuple:
        """Keys and values in order: of the last R positions, `(B, K, R, D)`, and those positions, `(R,)`.

        Positions before the first, and sink tokens, are -1, and what stands there means nothing.
        """
        ring = self.key.shape[2] - sink_tokens
        positions = self.index - ring + ops.arange(ring, dtype="int32")
        slots = sink_tokens + (positions - sink_tokens) % ring
        key, value = (ops.take(x, slots, axis=2) for x in (self.key, self.value))
        return key, value, ops.where(positions >= sink_tokens, positions, -1)

    def append(self, key, value, sink_tokens: int = 0) -> Self:
        """Returns the cache with keys and values `(B, K, T, D)` of the next T positions over the oldest ones.

        Of more than one, those from `end` on are left out.
        """
        count, slots = ops.shape(key)[2], self.key.shape[2]
        index = self.index + count
        if key.shape[2] == 1:
            turn = sink_tokens + (self.index - sink_tokens) % (slots - sink_tokens)
            slot = ops.where(self.index < sink_tokens, self.index, turn)
            pairs = ((self.key, key), (self.value, value))
            key, value = (write(old, ops.cast(new, old.dtype), slot, axis=2) for old, new in pairs)
            return self._replace(key=key, value=value, index=index)
        index = ops.minimum(index, self.end)
        positions = self._held(index, sink_tokens)
        new = ops.reshape(positions >= self.index, (1, 1, slots, 1))
        source = ops.clip(positions - self.index, 0, count - 1)
        key, value = (
            ops.where(new, ops.cast(ops.take(x, source, axis=2), old.dtype), old)
            for old, x in ((self.key, key), (self.value, value))
        )
        return self._replace(key=key, value=value, index=index)

    def _held(self, index, sink_tokens: int):
        """The position in each slot after `index` positions; -1 for an empty slot."""
        count = self.key.shape[2]
        slots, ring = ops.arange(count, dtype="int32"), count - sink_tokens
        last = index - 1 - (index - 1 - slots) % ring  # of those that are written to this slot in turn
        held = ops.where(slots < sink_tokens, slots, last)
        filled = ops.logical_and(held < index, ops.logical_or(slots < sink_tokens, last >= sink_tokens))
        return ops.where(filled, held, -1)
