"""Sparse softmax attention by blocks: each block of queries attends to a few blocks of keys, gathered beside it.

Time and memory grow with the queries times the keys that each of them sees, and not with the square of the length.
The softmax is `attention`'s own: blocks are rows of a larger batch to it.

Shape letters, besides those of `attention`: N blocks, C positions of a block, L keys that a block of queries sees.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from keras_tx.ops.attention.softmax import attention
from keras_tx.ops.checks import require_positive
from keras_tx.ops.primitives import ceil_div


class SharedKeys(NamedTuple):
    """Keys that the queries of all blocks see.

    Attributes:
        key: `(B, K, G, D)`.
        value: `(B, K, G, D')`.
        seen: boolean, `(B, T, G)` or what broadcasts to it: which query may look at which.
    """

    key: Any
    value: Any
    seen: Any


# === A band around the diagonal ===


def band_attention(
    query,
    key,
    value,
    *,
    before: int,
    after: int = 0,
    dilation: int = 1,
    mask=None,
    shared: SharedKeys | None = None,
    block_size: int | None = None,
    **options: Any,
):
    """Attention of each query to the keys near it (Beltagy et al. 2020, section 3.1): O(T * (before + after)).

    Args:
        query: `(B, H, T, D)`.
        key: `(B, K, T, D)`.
        value: `(B, K, T, D')`.
        before: how many steps back a query looks, besides its own position.
        after: how many steps ahead.
        dilation: positions a step; the sequence falls into as many interleaved ones.
        mask: boolean `(B, T)` or `(1, T)`, which keys are real.
        shared: further keys, which all queries see.
        block_size: queries of a block; chosen by `before` and `after` unless given. It changes the speed alone.
        options: `scale`, `soft_cap`, `dropout` and `seed`, as `attention` takes them.

    Returns:
        `(B, H, T, D')` in the dtype of `query`.

    Raises:
        ValueError: for a `dilation` or `block_size` less than 1, and as `attention` does.
    """
    require_positive(dilation=dilation, block_size=block_size)
    size = block_size or _block_size(max(before, after))
    batch, _, length, _ = ops.shape(query)
    real = ops.ones((1, length), "bool") if mask is None else mask
    real = ops.broadcast_to(real, (batch, length))

    def blocks(x, left: int = 0, right: int = 0):
        """`(B, X, T, D)` as `(B, N, X, C, D)`, after an interleaved sequence is made a row of its own."""
        return to_blocks(_interleaved(x, dilation), size, left, right)

    left, right = ceil_div(before, size), ceil_div(after, size)
    queries = blocks(query)
    keys, values = (_neighbours(blocks(x, left, right), left + right) for x in (key, value))
    real = _neighbours(blocks(real[:, None, :, None], left, right), left + right)[..., 0]  # (B, N, 1, L)
    own = ops.arange(size)
    near = own[:, None] - (ops.arange(real.shape[-1]) - left * size)  # how far back each key lies
    allowed = ops.logical_and(real[:, :, :, None], ops.logical_and(near <= before, near >= -after))
    if shared is not None:
        seen = ops.broadcast_to(shared.seen, (batch, length, ops.shape(shared.key)[2]))
        seen = blocks(seen[:, None])
        keys, values, allowed = _beside((keys, values, allowed), (shared.key, shared.value, seen), dilation)
    output = attend_blocks(queries, keys, values, allowed, **options)
    output = from_blocks(output, ceil_div(length, dilation))
    return _sequential(output, dilation, length)


def band(query_positions, key_positions, *, before: int, after: int = 0, dilation: int = 1):
    """The mask of `band_attention`, boolean `(..., T, S)`."""
    back = ops.expand_dims(query_positions, -1) - ops.expand_dims(key_positions, -2)
    inside = ops.logical_and(back <= before * dilation, back >= -after * dilation)
    return inside if dilation == 1 else ops.logical_and(inside, back % dilation == 0)


def _block_size(reach: int) -> int:
    """Half of the reach, or a smaller part where that is long.

    The smaller blocks are, the fewer keys are gathered in vain; the larger, the faster matrices are multiplied.
    """
    parts = max(2, ceil_div(reach, 128))
    return max(16, ceil_div(reach, parts))


def _interleaved(x, dilation: int):
    """`(B, X, T, D)` as `dilation` times as many rows, of every `dilation`-th position: `(B * dilation, X, T', D)`."""
    if dilation == 1:
        return x
    batch, heads, length, width = ops.shape(x)
    steps = ceil_div(length, dilation)
    x = ops.pad(x, ((0, 0), (0, 0), (0, steps * dilation - length), (0, 0)))
    x = ops.reshape(x, (batch, heads, steps, dilation, width))
    return ops.reshape(ops.transpose(x, (0, 3, 1, 2, 4)), (batch * dilation, heads, steps, width))


def _sequential(x, dilation: int, length):
    """Undoes `_interleaved`."""
    if dilation == 1:
        return x
    rows, heads, steps, width = ops.shape(x)
    x = ops.transpose(ops.reshape(x, (rows // dilation, dilation, heads, steps, width)), (0, 2, 3, 1, 4))
    return ops.reshape(x, (rows // dilation, heads, steps * dilation, width))[:, :, :length]


def _neighbours(blocks, count: int):
    """Joins each block with `count` blocks after it: `(B, N + count, X, C, D)` to `(B, N, X, (count + 1) * C, D)`."""
    if not count:
        return blocks
    shifted = [blocks[:, i : i - count or None] for i in range(count + 1)]
    return ops.concatenate(shifted, axis=3)


def _beside(blocks: tuple, shared: tuple, dilation: int) -> tuple:
    """Keys, values and mask of each block with those of the shared keys before them."""
    keys, values, allowed = blocks
    shared_key, shared_value, seen = shared
    count = ops.shape(keys)[1]

    def everywhere(x):
        """`(B, K, G, D)` for each block, `(B * dilation, N, K, G, D)`."""
        x = ops.repeat(x, dilation, axis=0) if dilation > 1 else x
        return ops.repeat(x[:, None], count, axis=1)

    allowed = ops.concatenate([seen, allowed], axis=-1)
    keys = ops.concatenate([everywhere(shared_key), keys], axis=3)
    values = ops.concatenate([everywhere(shared_value), values], axis=3)
    return keys, values, allowed


# === Blocks ===


def to_blocks(x, size: int, left: int = 0, right: int = 0):
    """`(B, X, T, D)`, padded with zeros, as `(B, N, X, size, D)`; with `left` and `right` blocks of zeros around."""
    batch, heads, length, width = ops.shape(x)
    count = ceil_div(length, size)
    x = ops.pad(x, ((0, 0), (0, 0), (left * size, (count + right) * size - length), (0, 0)))
    x = ops.reshape(x, (batch, heads, count + left + right, size, width))
    return ops.swapaxes(x, 1, 2)


def from_blocks(x, length):
    """`(B, N, X, C, D)` as `(B, X, length, D)`."""
    batch, count, heads, size, width = ops.shape(x)
    x = ops.reshape(ops.swapaxes(x, 1, 2), (batch, heads, count * size, width))
    return x[:, :, :length]


def attend_blocks(query, key, value, allowed, **options: Any):
    """Attention inside each block: `(B, N, H, C, D)`, `(B, N, K, L, D)`, `(B, N, K, L, D')` to `(B, N, H, C, D')`.

    `allowed` broadcasts to `(B, N, H, C, L)`.
    """
    batch, count = ops.shape(query)[:2]
    folded = (ops.reshape(x, (batch * count, *ops.shape(x)[2:])) for x in (query, key, value, allowed))
    *qkv, mask = folded
    output = attention(*qkv, mask=mask, **options)
    return ops.reshape(output, (batch, count, *ops.shape(output)[1:]))
