"""Nyström's approximation of softmax attention, by landmarks (Xiong et al. 2021)."""

from __future__ import annotations

from keras import ops

from keras_tx.ops.attention.softmax import attention


def nystrom_attention(query, key, value, *, landmarks: int, iterations: int = 6, mask=None, scale=None):
    """softmax(Q L_k^T) A^+ softmax(L_q K^T) V with A = softmax(L_q L_k^T), each softmax by `attention`.

    Args:
        query: `(B, H, T, D)`.
        key: `(B, K, T, D)`.
        value: `(B, K, T, D')`.
        landmarks: means of neighbours that the scores are taken with, M; more than positions, and some are empty.
        iterations: of the pseudo-inverse.
        mask: boolean `(B, T)` or `(1, T)`, which positions are real; None for all.
        scale: as in `attention`.

    Returns:
        `(B, H, T, D')`, zeros in a row without real positions.
    """
    query_means, key_means, there = _landmarks(query, key, landmarks, mask)
    keys = None if mask is None else mask[:, None, None]
    gathered = attention(query_means, key, value, mask=_both(there[:, None, :, None], keys), scale=scale)
    inverse = _inverse_scores(query_means, key_means, there, iterations, scale)
    values = ops.matmul(inverse, ops.cast(gathered, inverse.dtype))
    groups = query.shape[1] // key.shape[1]
    key_means = ops.repeat(key_means, groups, axis=1) if groups > 1 else key_means  # its values differ by query head
    return attention(query, key_means, ops.cast(values, query.dtype), mask=there[:, None, None], scale=scale)


def nystrom_map(query, key, *, landmarks: int, iterations: int = 6, mask=None, scale=None):
    """The matrix that `nystrom_attention` multiplies values by, `(B, H, T, T)`; its numbers may be negative."""
    query_means, key_means, there = _landmarks(query, key, landmarks, mask)
    keys = None if mask is None else mask[:, None, None]
    _, right = attention(
        query_means, key, key, mask=_both(there[:, None, :, None], keys), scale=scale, return_weights=True
    )
    _, left = attention(query, key_means, key_means, mask=there[:, None, None], scale=scale, return_weights=True)
    inverse = _inverse_scores(query_means, key_means, there, iterations, scale)
    return ops.matmul(left, ops.matmul(inverse, right))


def _landmarks(query, key, count: int, mask):
    """Means of `count` stretches of real positions, `(B, ., M, D)`; and which are not empty, `(B, M)`."""
    length = ops.shape(query)[2]
    stretch = ops.arange(length, dtype="int32") * count // length
    member = stretch == ops.arange(count, dtype="int32")[:, None]  # (M, T)
    member = member[None] if mask is None else ops.logical_and(member, mask[:, None])
    sizes = ops.sum(ops.cast(member, "float32"), axis=-1, keepdims=True)  # (B, M, 1)
    share = ops.cast(member, "float32") / ops.maximum(sizes, 1.0)
    if share.shape[0] == 1:
        means = [ops.einsum("mt,bhtd->bhmd", ops.cast(share[0], x.dtype), x) for x in (query, key)]
    else:
        means = [ops.einsum("bmt,bhtd->bhmd", ops.cast(share, x.dtype), x) for x in (query, key)]
    return *means, sizes[..., 0] > 0


def _inverse_scores(query_means, key_means, there, iterations: int, scale):
    seen = ops.logical_and(there[:, None, :, None], there[:, None, None])
    _, scores = attention(query_means, key_means, key_means, mask=seen, scale=scale, return_weights=True)
    return pseudo_inverse(scores, iterations)


def pseudo_inverse(x, iterations: int = 6):
    """The Moore-Penrose inverse of matrices `(..., M, M)` by an iteration of third order (Razavi et al. 2014).

    It starts from the transpose over the largest sums of a column and of a row, of each matrix by itself.
    """
    columns = ops.max(ops.sum(ops.abs(x), axis=-2), axis=-1)
    rows = ops.max(ops.sum(ops.abs(x), axis=-1), axis=-1)
    z = ops.swapaxes(x, -1, -2) / ops.maximum(columns * rows, 1e-9)[..., None, None]
    unit = ops.eye(x.shape[-1], dtype=x.dtype)
    for _ in range(iterations):
        product = ops.matmul(x, z)
        z = 0.25 * ops.matmul(z, 13 * unit - ops.matmul(product, 15 * unit - ops.matmul(product, 7 * unit - product)))
    return z


def _both(a, b):
    return a if b is None else ops.logical_and(a, b)
