"""The key/value cache: allocated once at full length, passed in, returned updated.

Keys and values lie as `(B, K, S, D)`, head by head, so that a decoding step reads each head's keys in one run of
memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from keras_tx.ops.primitives import write


class KVCache(NamedTuple):
    """The keys and values of one attention layer.

    Attributes:
        key: `(B, K, S, D)`.
        value: `(B, K, S, D)`.
        index: int32 scalar, how many of the S slots are filled.
    """

    key: Any
    value: Any
    index: Any


class LatentCache(NamedTuple):
    """What latent attention keeps of each position.

    Attributes:
        latent: `(B, 1, S, latent_dim + rotary_dim)`, as keys of one head: the normalized latent, then the rotated key
            that all heads share.
        index: int32 scalar, how many of the S slots are filled.
    """

    latent: Any
    index: Any


def capacity(cache) -> int | None:
    """The slots of a layer's cache, one a position; None if not known; 0 if it takes any number of positions."""
    if isinstance(cache, LatentCache):
        return cache.latent.shape[2]
    return cache.key.shape[2] if isinstance(cache, KVCache) else 0


def init_cache(batch_size, num_kv_heads: int, length: int, head_dim: int, dtype: str = "float32") -> KVCache:
    """An empty cache with room for `length` positions."""
    shape = (batch_size, num_kv_heads, length, head_dim)
    return KVCache(ops.zeros(shape, dtype), ops.zeros(shape, dtype), ops.zeros((), "int32"))


def update_cache(cache: KVCache, key, value) -> KVCache:
    """Appends keys and values `(B, K, T, D)` after those in the cache.

    Raises:
        ValueError: if T is larger than the whole cache. Whether T slots are still free is the caller's to see to:
            inside a compiled loop `index` has no value to check.
    """
    if key.shape[2] is not None and cache.key.shape[2] is not None and key.shape[2] > cache.key.shape[2]:
        raise ValueError(f"{key.shape[2]} positions do not fit into a cache of {cache.key.shape[2]}.")
    return KVCache(
        write(cache.key, ops.cast(key, cache.key.dtype), cache.index, axis=2),
        write(cache.value, ops.cast(value, cache.value.dtype), cache.index, axis=2),
        cache.index + ops.shape(key)[2],
    )


def query_slots(cache: KVCache, length):
    """The cache slots that `length` new positions will fill, `(length,)` int32."""
    return cache.index + ops.arange(length, dtype="int32")


def key_slots(cache: KVCache):
    """All slots of the cache, `(S,)` int32.

    Raises:
        ValueError: for a cache that keeps no slot for each position.
    """
    if not isinstance(cache, KVCache):
        raise ValueError(
            f"a {type(cache).__name__} keeps no slot for each position, which `segments`, and an `attention_mask` that "
            "is a function of positions, need: give `attention_mask` (batch, keys)."
        )
    return ops.arange(ops.shape(cache.key)[2], dtype="int32")
