"""Linear attention: weights are products of features, so that sums over keys are taken once for all queries.

Shape letters, besides those of `attention`: F features, N chunks, C positions of a chunk, G = H / K.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import keras
import numpy as np
from keras import ops

from keras_tx.ops.attention.cache import LayerCache
from keras_tx.ops.checks import require_positive
from keras_tx.ops.primitives import ceil_div

# === Attention ===


class _Sums(NamedTuple):
    sums: Any
    index: Any


class LinearState(_Sums, LayerCache):
    """The cache of linear attention: sums over the past, however long.

    A position that has been added cannot be taken back: generation that takes tokens back (an assistant's drafts,
    contrastive search) needs a `KVCache`.

    Attributes:
        sums: `(B, K, F, D + 1)`, float32 or wider: over positions, of features times values; the last column, of
            features.
        index: int32 scalar, how many positions there have been.
    """

    __slots__ = ()

    @property
    def by_position(self) -> bool:
        return False

    @classmethod
    def empty(cls, batch_size, num_kv_heads: int, features: int, head_dim: int, dtype: str = "float32") -> Self:
        """The state before the first position."""
        dtype = keras.backend.result_type(dtype, "float32")
        return cls(ops.zeros((batch_size, num_kv_heads, features, head_dim + 1), dtype), ops.zeros((), "int32"))


def linear_attention(query, key, value, *, causal: bool = False, state: LinearState | None = None, chunk_size=64):
    """Attention with weights q . k / sum(q . k) (Katharopoulos et al. 2020, equations 5 and 9), in O(T + S).

    Causal attention goes by chunks: inside one, a triangle of weights; before it, a running sum.

    Args:
        query: features of the queries, `(B, H, T, F)`, not negative.
        key: features of the keys, `(B, K, S, F)`, not negative, zeros at those that nobody may look at; K divides H.
        value: `(B, K, S, D)`.
        causal: query t sees the keys up to t; T == S.
        state: what was before: all queries see it.
        chunk_size: positions of a chunk, which changes the speed alone.

    Returns:
        `(B, H, T, D)` in float32 or wider, zeros for a query whose weights are all 0; and the state with these
        positions.

    Raises:
        ValueError: if the heads of `key` do not divide those of `query`, or `chunk_size` is less than 1.
    """
    require_positive(chunk_size=chunk_size)
    query, key, value = (ops.cast(x, keras.backend.result_type(x.dtype, "float32")) for x in (query, key, value))
    query = _grouped(query, key.shape[1])  # (B, K, G, T, F)
    value = ops.concatenate([value, ops.ones_like(value[..., :1])], axis=-1)  # the last column becomes the normalizer
    before = None if state is None else state.sums
    if causal:
        length = key.shape[2]
        size = min(chunk_size, length) if isinstance(length, int) else chunk_size
        mixed, after = _causal(query, key, value, before, size)
    else:
        after = ops.einsum("bksf,bksd->bkfd", key, value)
        after = after if before is None else before + after
        mixed = ops.einsum("bkgtf,bkfd->bkgtd", query, after)
    batch, heads, groups, length, _ = ops.shape(mixed)
    mixed = ops.reshape(mixed, (batch, heads * groups, length, value.shape[-1]))
    index = ops.zeros((), "int32") if state is None else state.index
    return _divide(mixed[..., :-1], mixed[..., -1:]), LinearState(after, index + ops.shape(key)[2])


def linear_attention_map(query, key, *, causal: bool = False):
    """The weights by their definition, `(B, H, T, S)`: as large as all pairs of positions."""
    query, key = (ops.cast(x, keras.backend.result_type(x.dtype, "float32")) for x in (query, key))
    products = ops.einsum("bkgtf,bksf->bkgts", _grouped(query, key.shape[1]), key)
    batch, heads, groups, length, keys = ops.shape(products)
    products = ops.reshape(products, (batch, heads * groups, length, keys))
    products = ops.tril(products) if causal else products
    return _divide(products, ops.sum(products, axis=-1, keepdims=True))


def _causal(query, key, value, before, size: int):
    length = ops.shape(key)[2]
    query, key, value = (_chunks(x, size) for x in (query, key, value))
    weights = ops.einsum("bkgncf,bknsf->bkgncs", query, key)
    inside = ops.where(np.tri(size, dtype=bool), weights, ops.zeros((), weights.dtype))
    sums = ops.einsum("bknsf,bknsd->bknfd", key, value)
    before = ops.zeros_like(sums[:, :, 0]) if before is None else before
    sums = ops.cumsum(ops.concatenate([before[:, :, None], sums], axis=2), axis=2)
    mixed = ops.einsum("bkgncs,bknsd->bkgncd", inside, value) + ops.einsum(
        "bkgncf,bknfd->bkgncd", query, sums[:, :, :-1]
    )
    batch, heads, groups, count, _, width = ops.shape(mixed)
    mixed = ops.reshape(mixed, (batch, heads, groups, count * size, width))[:, :, :, :length]
    return mixed, sums[:, :, -1]


def _chunks(x, size: int):
    """`(..., T, F)`, filled up with zeros, as `(..., N, size, F)`."""
    *others, length, width = ops.shape(x)
    count = ceil_div(length, size)
    x = ops.pad(x, (*((0, 0) for _ in others), (0, count * size - length), (0, 0)))
    return ops.reshape(x, (*others, count, size, width))


def _grouped(query, num_kv_heads: int):
    """`(B, H, T, F)` as `(B, K, G, T, F)`: the queries of each key/value head together."""
    if query.shape[1] % num_kv_heads:
        raise ValueError(f"the heads of `key` ({num_kv_heads}) must divide those of `query` ({query.shape[1]}).")
    batch, heads, length, width = ops.shape(query)
    return ops.reshape(query, (batch, num_kv_heads, heads // num_kv_heads, length, width))


def _divide(x, total):
    """`x / total`, and 0 where the total is."""
    empty = total == 0
    return ops.where(empty, ops.zeros((), x.dtype), x / ops.where(empty, ops.ones((), x.dtype), total))


# === Features ===


def elu_features(x):
    """elu(x) + 1, which is positive (Katharopoulos et al. 2020, equation 7)."""
    return ops.elu(ops.cast(x, keras.backend.result_type(x.dtype, "float32"))) + 1.0


def softmax_features(x, frequencies, scale: float | None = None, *, stabilize: bool = False):
    """Features whose products are exp(scale * q . k) on average (Choromanski et al. 2021, lemma 1: FAVOR+).

    Args:
        x: queries or keys, `(..., D)`.
        frequencies: `(D, F)`, from `orthogonal_frequencies`.
        scale: of the scores that the softmax would be taken of; `D ** -0.5` unless given.
        stabilize: divide the features of each row by the largest of them: for queries, whose weights are normalized.

    Returns:
        `(..., F)`, positive, float32 or wider.
    """
    x = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
    x = x * (x.shape[-1] ** -0.5 if scale is None else scale) ** 0.5
    exponents = ops.matmul(x, ops.cast(frequencies, x.dtype)) - ops.sum(ops.square(x), axis=-1, keepdims=True) / 2
    if stabilize:
        exponents = exponents - ops.stop_gradient(ops.max(exponents, axis=-1, keepdims=True))
    return ops.exp(exponents) * frequencies.shape[-1] ** -0.5


def orthogonal_frequencies(dim: int, count: int, seed: int) -> np.ndarray:
    """Random vectors, each normally distributed, every `dim` of them orthogonal (Choromanski et al. 2021, section 2.4).

    They are NumPy's, so that all backends draw the same.

    Returns:
        float32 `(dim, count)`.
    """
    require_positive(dim=dim, count=count)
    draws = np.random.default_rng(seed)
    blocks = ceil_div(count, dim)
    directions, triangles = np.linalg.qr(draws.normal(size=(blocks, dim, dim)))
    directions = directions * np.sign(np.diagonal(triangles, axis1=1, axis2=2))[:, None]  # else not uniform
    lengths = np.linalg.norm(draws.normal(size=(blocks, dim, dim)), axis=1, keepdims=True)
    return np.concatenate(list(directions * lengths), axis=1)[:, :count].astype("float32")
