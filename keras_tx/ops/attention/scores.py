"""Scores of queries and keys, and values by weights: what every schedule of softmax attention is made of.

Heads are grouped, and keys and values never repeated. Shape letters as in `attention`.
"""

from __future__ import annotations

import keras
from keras import ops

LOWEST = -1e30
"""The score of a key that is not seen."""


def score(query, key, scale, soft_cap, bias):
    """The scores, `(B, H, T, S)` in float32 or wider."""
    # The scale goes on the queries: T x D numbers where the scores are T x S.
    grouped = group(query * ops.cast(scale, query.dtype), key.shape[1])  # (B, K, G*T, D)
    scores = ops.einsum("bkqd,bksd->bkqs", grouped, key)
    scores = ungroup(scores, query)
    scores = ops.cast(scores, keras.backend.result_type(query.dtype, "float32"))
    if soft_cap:
        scores = soft_cap * ops.tanh(scores / soft_cap)
    return scores if bias is None else scores + ops.cast(bias, scores.dtype)


def mix(weights, value):
    """Weights `(B, H, T, S)` over values `(B, K, S, D)`: `(B, H, T, D)`."""
    mixed = ops.einsum("bkqs,bksd->bkqd", group(weights, value.shape[1]), value)
    return ungroup(mixed, weights)


def group(x, num_kv_heads: int):
    """`(B, H, T, N)` as `(B, K, G*T, N)`: the queries of one key/value head side by side."""
    if x.shape[1] == num_kv_heads:
        return x
    batch, _, _, width = ops.shape(x)
    groups = x.shape[1] // num_kv_heads
    return ops.reshape(x, (batch, num_kv_heads, groups * ops.shape(x)[2], width))


def ungroup(x, like):
    """`(B, K, G*T, N)` as `(B, H, T, N)`, with the heads and queries of `like`."""
    if x.shape[1] == like.shape[1]:
        return x
    batch, heads, queries, _ = ops.shape(like)
    return ops.reshape(x, (batch, heads, queries, ops.shape(x)[-1]))
