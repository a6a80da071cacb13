"""Softmax attention: the one function behind every exact variant.

Shape letters, here and in the layers:
    B batch, H query heads, K key/value heads, G = H / K query heads that share one key/value head,
    T queries, S keys, D head width.
"""

from __future__ import annotations

import keras
from keras import ops
from keras.random import SeedGenerator

from keras_tx.ops import masks
from keras_tx.ops.checks import is_boolean
from keras_tx.ops.dropout import dropout as random_dropout
from keras_tx.ops.primitives import has_fixed_ranges


def attention(
    query,
    key,
    value,
    *,
    mask=None,
    bias=None,
    causal: bool = False,
    scale: float | None = None,
    soft_cap: float | None = None,
    dropout: float = 0.0,
    seed: SeedGenerator | None = None,
    return_weights: bool = False,
):
    """Scaled dot-product attention, softmax(scale * Q K^T + bias) V (Vaswani et al. 2017, equation 1).

    Fewer key/value heads than query heads give grouped-query attention (Ainslie et al. 2023), one gives
    multi-query attention (Shazeer 2019); keys and values are never repeated in memory.

    A fused kernel does the work on the JAX and torch backends, unless `return_weights`, `soft_cap`, dropout or
    values of another width ask for what such kernels do not give; the explicit path does it otherwise. The softmax
    is taken in float32 or wider.

    Args:
        query: `(B, H, T, D)`, floating point.
        key: `(B, K, S, D)`, where K divides H.
        value: `(B, K, S, D')`.
        mask: boolean, broadcastable to `(B, H, T, S)`, True where a query may look. A query that may look
            nowhere gets zeros.
        bias: added to the scaled (and soft-capped) scores, broadcastable to `(B, H, T, S)`.
        causal: query t may look at key s only if s <= t; for the same positions on both sides, so T == S.
        scale: multiplies the scores; `D ** -0.5` unless given.
        soft_cap: c in c * tanh(scores / c), which bounds the scores (Gemma 2, 2024).
        dropout: rate at which attention weights are dropped; applied only if `seed` is given.
        seed: the generator that dropout draws from; None, as at inference, means no dropout.
        return_weights: also return the attention map.

    Returns:
        `(B, H, T, D')` in the dtype of `query`; with `return_weights`, also the weights before dropout,
        `(B, H, T, S)`, in float32 or wider.

    Raises:
        ValueError: for ranks, heads, widths or lengths that do not fit together, or a mask that is not boolean.
    """
    _check(query, key, value, mask, bias, causal)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    drop = dropout if seed is not None else 0.0
    fusible = not (return_weights or soft_cap or drop) and query.shape[-1] == value.shape[-1]
    if fusible and keras.backend.backend() in ("jax", "torch"):
        return _fused(query, key, value, mask, bias, causal, scale)
    if causal:
        positions = ops.arange(ops.shape(key)[2])
        mask = masks.combine(mask, masks.causal(positions, positions))
    scores = _scores(query, key, scale, soft_cap, bias)
    weights = _softmax(scores, mask)
    dropped = random_dropout(weights, drop, seed) if drop else weights
    output = _mix(ops.cast(dropped, value.dtype), value)
    return (output, weights) if return_weights else output


def _scores(query, key, scale, soft_cap, bias):
    """`(B, H, T, S)` in float32 or wider."""
    # The scale goes on the queries: T x D numbers where the scores are T x S.
    grouped = _group(query * ops.cast(scale, query.dtype), key.shape[1])  # (B, K, G*T, D)
    scores = ops.einsum("bkqd,bksd->bkqs", grouped, key)
    scores = _ungroup(scores, query)
    scores = ops.cast(scores, keras.backend.result_type(query.dtype, "float32"))
    if soft_cap:
        scores = soft_cap * ops.tanh(scores / soft_cap)
    return scores if bias is None else scores + ops.cast(bias, scores.dtype)


def _softmax(scores, mask):
    if mask is not None:
        # A finite fill keeps a fully masked row, and its gradient, free of NaN; the `where` below makes it zeros.
        fill = ops.cast(-1e30, scores.dtype)
        if has_fixed_ranges():  # near the scores: what it takes from them is e^-8 of the least at most
            fill = ops.min(scores, axis=-1, keepdims=True) - 8.0
        scores = ops.where(mask, scores, fill)
    # A single key takes all; Keras warns of a softmax over one number.
    weights = ops.ones_like(scores) if scores.shape[-1] == 1 else ops.softmax(scores, axis=-1)
    return weights if mask is None else ops.where(mask, weights, ops.zeros((), weights.dtype))


def _mix(weights, value):
    """Weights `(B, H, T, S)` over values `(B, K, S, D)`: `(B, H, T, D)`."""
    mixed = ops.einsum("bkqs,bksd->bkqd", _group(weights, value.shape[1]), value)
    return _ungroup(mixed, weights)


def _group(x, num_kv_heads: int):
    """`(B, H, T, N)` as `(B, K, G*T, N)`: the queries of one key/value head side by side."""
    if x.shape[1] == num_kv_heads:
        return x
    batch, _, _, width = ops.shape(x)
    groups = x.shape[1] // num_kv_heads
    return ops.reshape(x, (batch, num_kv_heads, groups * ops.shape(x)[2], width))


def _ungroup(x, like):
    """`(B, K, G*T, N)` as `(B, H, T, N)`, with the heads and queries of `like`."""
    if x.shape[1] == like.shape[1]:
        return x
    batch, heads, queries, _ = ops.shape(like)
    return ops.reshape(x, (batch, heads, queries, ops.shape(x)[-1]))


def _fused(query, key, value, mask, bias, causal, scale):
    """The backend's own kernel, which takes `(B, T, H, D)` and never shows its weights."""
    by_time = (ops.swapaxes(x, 1, 2) for x in (query, key, value))
    output = ops.dot_product_attention(*by_time, mask=mask, bias=bias, is_causal=causal, scale=scale)
    output = ops.swapaxes(output, 1, 2)
    if mask is None:
        return output
    seen = ops.any(mask, axis=-1, keepdims=True)
    return ops.where(seen, output, ops.zeros((), output.dtype))


def _check(query, key, value, mask, bias, causal):
    for name, x in (("query", query), ("key", key), ("value", value)):
        if len(x.shape) != 4:
            raise ValueError(f"`{name}` must be (batch, heads, length, width); got shape {tuple(x.shape)}.")
    if key.shape[1] != value.shape[1] or query.shape[1] % key.shape[1]:
        raise ValueError(
            f"the heads of `key` ({key.shape[1]}) must equal those of `value` ({value.shape[1]}) and divide those "
            f"of `query` ({query.shape[1]})."
        )
    if query.shape[3] != key.shape[3]:
        raise ValueError(f"`query` and `key` must be equally wide; got {query.shape[3]} and {key.shape[3]}.")
    if None not in (key.shape[2], value.shape[2]) and key.shape[2] != value.shape[2]:
        raise ValueError(f"`key` and `value` must be equally long; got {key.shape[2]} and {value.shape[2]}.")
    if causal and None not in (query.shape[2], key.shape[2]) and query.shape[2] != key.shape[2]:
        raise ValueError(
            f"`causal=True` needs as many queries as keys; got {query.shape[2]} and {key.shape[2]}. "
            "Pass `mask=masks.causal(query_positions, key_positions)` instead."
        )
    if mask is not None and not is_boolean(mask):
        raise ValueError(f"`mask` must be boolean, True where a query may look; got dtype {mask.dtype}.")
    full = (query.shape[0], query.shape[1], query.shape[2], key.shape[2])
    for name, x in (("mask", mask), ("bias", bias)):
        if x is not None and not _broadcasts(tuple(x.shape), full):
            raise ValueError(f"`{name}` of shape {tuple(x.shape)} does not broadcast to (B, H, T, S) = {full}.")


def _broadcasts(shape, full) -> bool:
    if len(shape) > len(full):
        return False
    pairs = zip(reversed(shape), reversed(full), strict=False)
    return all(have in (1, None) or want is None or have == want for have, want in pairs)
