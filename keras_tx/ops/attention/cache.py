"""Caches of attention: the protocol that every kind answers to, and the kinds that keep each position.

A cache is allocated once, passed in, and returned updated. Every kind is a NamedTuple of tensors, so that compiled
functions and loops carry it as they carry any other structure; what there is to ask of it are methods, and nobody
needs to know its class. Keys and values lie as `(B, K, S, D)`, head by head, so that a decoding step reads each head's
keys in one run of memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import keras
from keras import ops

from keras_tx.ops.primitives import write


class Cache:
    """The protocol: what can be asked of a layer's, a block's or a decoder's cache."""

    __slots__ = ()

    @property
    def fill(self) -> Any:
        """The number of positions in the cache, an int32 scalar."""
        raise NotImplementedError

    @property
    def capacity(self) -> int | None:
        """The number of positions there is room for; None for any number, or one that a graph does not know."""
        raise NotImplementedError

    def rewind(self, index) -> Self:
        """The cache with `index` positions filled; what the other slots hold is written over later.

        Raises:
            ValueError: for a cache that does not hold the past as it was.
        """
        raise NotImplementedError

    def until(self, end) -> Self:
        """The cache that takes in positions before `end` alone, an int32 scalar.

        Padding may be appended after them. It is masked, leaves no trace in what a cache of no slots holds, and is
        written over in the slots of others; `filled` then says how many positions there are.
        """
        raise NotImplementedError

    def filled(self, index) -> Self:
        """The cache of which `index` positions count, where no others but masked ones have been appended."""
        raise NotImplementedError

    def repeat_rows(self, copies: int) -> Self:
        """Repeats each row `copies` times in succession."""
        raise NotImplementedError

    def take_rows(self, rows) -> Self:
        """The rows of these indices, `(N,)`, each of the same prompt as the one whose place it takes."""
        raise NotImplementedError


class LayerCache(Cache):
    """The cache of one attention layer: tensors that hold the past, and how many positions that is.

    Subclasses are NamedTuples too, of tensors `(B, K, ., D)` and `index`, the fill. (A NamedTuple takes no other base,
    and so each kind is made of two classes.)
    """

    __slots__ = ()

    @property
    def by_position(self) -> bool:
        """Whether every position keeps a slot of its own along axis 2 of each tensor.

        What does not, a window's ring or a sum, takes any number of positions, and cannot give one back.
        """
        return True

    @property
    def fill(self) -> Any:
        return self.index  # type: ignore[attr-defined]

    @property
    def capacity(self) -> int | None:
        return self._first().shape[2] if self.by_position else None

    def query_positions(self, count) -> Any:
        """The next `count` positions, which are also their slots: `(count,)` int32."""
        return self.fill + ops.arange(count, dtype="int32")

    def key_positions(self) -> Any:
        """The positions of all slots, filled or not: `(S,)` int32.

        Raises:
            ValueError: for a cache that keeps no slot for each position.
        """
        if not self.by_position:
            raise ValueError(
                f"a {type(self).__name__} keeps no slot for each position, which `segments`, and an `attention_mask` "
                "that is a function of positions, need: give `attention_mask` (batch, keys)."
            )
        return ops.arange(ops.shape(self._first())[2], dtype="int32")

    def rewind(self, index) -> Self:
        if not self.by_position:
            raise ValueError(
                f"tokens cannot be taken back from a {type(self).__name__}: neither an `assistant_model` nor "
                "contrastive search goes with a sliding window or linear attention."
            )
        return self.filled(index)

    def until(self, end) -> Self:
        return self

    def filled(self, index) -> Self:
        return self.with_tensors({}, index)

    def repeat_rows(self, copies: int) -> Self:
        return self._of_rows(lambda x: ops.repeat(x, copies, axis=0))

    def take_rows(self, rows) -> Self:
        return self._of_rows(lambda x: ops.take(x, rows, axis=0))

    def tensors(self) -> dict[str, Any]:
        """The tensors that it holds, by name, each of rank 4."""
        return {name: x for name, x in self._asdict().items() if name != "index"}  # type: ignore[attr-defined]

    def with_tensors(self, tensors: dict[str, Any], fill) -> Self:
        """A cache of the same kind with other tensors of these names, of `fill` positions."""
        return self._replace(**tensors, index=fill)  # type: ignore[attr-defined]

    def _of_rows(self, function) -> Self:
        return self.with_tensors({name: function(x) for name, x in self.tensors().items()}, self.fill)

    def _first(self) -> Any:
        return next(iter(self.tensors().values()))


def least_capacity(caches: Iterable[Cache]) -> int | None:
    """Returns how many positions every one of these caches has room for; None for any number."""
    known = [cache.capacity for cache in caches]
    return min((capacity for capacity in known if capacity is not None), default=None)


# === Keys and values ===


class _KeysAndValues(NamedTuple):
    key: Any
    value: Any
    index: Any


class KVCache(_KeysAndValues, LayerCache):
    """The keys and values of one attention layer.

    Attributes:
        key: `(B, K, S, D)`.
        value: `(B, K, S, D)`.
        index: int32 scalar, how many of the S slots are filled.
    """

    __slots__ = ()

    @classmethod
    def empty(cls, batch_size, num_kv_heads: int, length: int, head_dim: int, dtype: str = "float32") -> Self:
        """An empty cache with room for `length` positions."""
        shape = (batch_size, num_kv_heads, length, head_dim)
        return cls(ops.zeros(shape, dtype), ops.zeros(shape, dtype), ops.zeros((), "int32"))

    def append(self, key, value) -> Self:
        """Returns the cache with keys and values `(B, K, T, D)` after those it has.

        Raises:
            ValueError: if T is larger than the whole cache. Whether T slots are still free is the caller's to see to:
                inside a compiled loop `index` has no value to check.
        """
        return self._replace(
            key=_appended(self.key, key, self.index),
            value=_appended(self.value, value, self.index),
            index=self.index + ops.shape(key)[2],
        )


# === Latents ===


class _Latents(NamedTuple):
    latent: Any
    index: Any


class LatentCache(_Latents, LayerCache):
    """The cache of latent attention.

    Attributes:
        latent: `(B, 1, S, latent_dim + rotary_dim)`, as keys of one head: the normalized latent, then the rotated key
            that all heads share.
        index: int32 scalar, how many of the S slots are filled.
    """

    __slots__ = ()

    @classmethod
    def empty(cls, batch_size, length: int, width: int, dtype: str = "float32") -> Self:
        """An empty cache with room for `length` positions."""
        return cls(ops.zeros((batch_size, 1, length, width), dtype), ops.zeros((), "int32"))

    def append(self, latent) -> Self:
        """Returns the cache with latents `(B, 1, T, width)` after those it has; errors as of `KVCache.append`."""
        return self._replace(latent=_appended(self.latent, latent, self.index), index=self.index + ops.shape(latent)[2])


def _appended(slots, new, index):
    """`(B, K, S, D)` with `(B, K, T, D)` written from slot `index` on."""
    if None not in (new.shape[2], slots.shape[2]) and new.shape[2] > slots.shape[2]:
        raise ValueError(f"{new.shape[2]} positions do not fit into a cache of {slots.shape[2]}.")
    return write(slots, ops.cast(new, slots.dtype), index, axis=2)


# === Structures that hold caches ===


def map_caches(of_cache, of_tensor, structure):
    """A nested structure with other caches and other tensors in it.

    Args:
        of_cache: from a cache, which is not looked into, to another.
        of_tensor: from a tensor outside all caches to another.
        structure: nested, as `keras.tree` has it.
    """

    def mapped(x):
        if isinstance(x, Cache):
            return of_cache(x)
        return None if keras.tree.is_nested(x) else of_tensor(x)

    return keras.tree.traverse(mapped, structure)
