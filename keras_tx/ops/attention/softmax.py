"""Softmax attention: the one function behind every exact variant.

Shape letters, here and in the layers:
    B batch, H query heads, K key/value heads, G = H / K query heads that share one key/value head,
    T queries, S keys, D head width.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import ops
from keras.random import SeedGenerator

from keras_tx.ops.attention import masks
from keras_tx.ops.attention.chunked import chunked_attention
from keras_tx.ops.attention.scores import LOWEST, mix, score
from keras_tx.ops.checks import is_boolean, require_positive, require_shape
from keras_tx.ops.devices import on_cpu, on_tpu
from keras_tx.ops.dropout import dropout as random_dropout
from keras_tx.ops.primitives import hide_scores


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
    sinks=None,
    value_bias: Callable | None = None,
    dropout: float = 0.0,
    seed: SeedGenerator | None = None,
    chunk_size: int | None = None,
    return_weights: bool = False,
):
    """Scaled dot-product attention, softmax(scale * Q K^T + bias) V (Vaswani et al. 2017, equation 1).

    Fewer key/value heads than query heads give grouped-query attention (Ainslie et al. 2023), one gives
    multi-query attention (Shazeer 2019); keys and values are never repeated in memory.

    The backend's fused kernel does the work where there is one, on JAX (cuDNN's on GPUs from Ampere on, Splash on
    TPUs, XLA's own fusion on other GPUs) and on torch, and where it is asked for no more than it gives. The explicit
    path does it with `return_weights`, `soft_cap`, `sinks`, `value_bias`, active dropout, values of another width than
    the keys, on TensorFlow, and on JAX's CPUs, where it is the faster one. The softmax is taken in float32 or wider.

    With `chunk_size` the same function is computed that many keys at a time, and its gradient likewise, in memory
    O(T + S): slower where all scores fit into memory, possible where they do not. A map, which does not, is never
    computed so.

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
        sinks: `(H,)`, for each head the score of a key that has no value, and takes its share of the weights all the
            same (gpt-oss, 2025).
        value_bias: a function of the weights that values are mixed by, `(B, H, T, S)` in the dtype of `value`, whose
            result, `(B, H, T, D')`, is added to the output (relative values, Shaw et al. 2018, equation 3).
        dropout: rate at which attention weights are dropped; applied only if `seed` is given.
        seed: the generator that dropout draws from; None, as at inference, means no dropout.
        chunk_size: keys at a time; None for all at once.
        return_weights: also return the attention map.

    Returns:
        `(B, H, T, D')` in the dtype of `query`; with `return_weights`, also the weights before dropout,
        `(B, H, T, S)`, in float32 or wider.

    Raises:
        ValueError: for ranks, heads, widths or lengths that do not fit together, a mask that is not boolean, a
            `soft_cap` that is not positive, or `chunk_size` together with `value_bias`.
    """
    require_positive(chunk_size=chunk_size)
    _check(query, key, value, mask, bias, causal)
    if soft_cap is not None and not soft_cap > 0:
        raise ValueError(f"`soft_cap` must be above 0, or None for none; got {soft_cap}.")
    if sinks is not None:
        require_shape(sinks, (query.shape[1],), "sinks")
        sinks = ops.reshape(ops.cast(sinks, keras.backend.result_type(query.dtype, "float32")), (1, -1, 1, 1))
    if chunk_size is not None and value_bias is not None:
        raise ValueError("`value_bias` needs all weights at once: leave out `chunk_size`.")
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    drop = dropout if seed is not None else 0.0
    if chunk_size is not None and not return_weights and (key.shape[2] is None or key.shape[2] > chunk_size):
        options = {"mask": mask, "bias": bias, "causal": causal, "scale": scale, "soft_cap": soft_cap, "sinks": sinks}
        return chunked_attention(query, key, value, **options, dropout=drop, seed=seed, chunk_size=chunk_size)
    explicit = return_weights or soft_cap or drop or sinks is not None or value_bias is not None
    fused = not explicit and query.shape[-1] == value.shape[-1] and _has_fused_kernel()
    if causal and not (fused and mask is None):
        positions = ops.arange(ops.shape(key)[2])
        mask, causal = masks.combine(mask, masks.causal(positions, positions)), False
    if fused:
        return _fused(query, key, value, mask, bias, causal, scale)
    scores = score(query, key, scale, soft_cap, bias)
    weights = _softmax(scores, mask, sinks)
    dropped = ops.cast(random_dropout(weights, drop, seed) if drop else weights, value.dtype)
    output = mix(dropped, value)
    if value_bias is not None:
        output = output + value_bias(dropped)
    return (output, weights) if return_weights else output


def _softmax(scores, mask, sinks):
    if mask is not None:
        # A finite fill keeps a fully masked row, and its gradient, free of NaN; the `where` below makes it zeros.
        scores = hide_scores(scores, mask, LOWEST)
    if sinks is not None:
        largest = ops.stop_gradient(ops.maximum(ops.max(scores, axis=-1, keepdims=True), sinks))
        weights = ops.exp(scores - largest)
        weights = weights / (ops.sum(weights, axis=-1, keepdims=True) + ops.exp(sinks - largest))
    else:
        # A single key takes all; Keras warns of a softmax over one number.
        weights = ops.ones_like(scores) if scores.shape[-1] == 1 else ops.softmax(scores, axis=-1)
    return weights if mask is None else ops.where(mask, weights, ops.zeros((), weights.dtype))


def _has_fused_kernel() -> bool:
    # On CPUs JAX has none: its function lays the scores out anew for each product, which takes up to twice the time.
    backend = keras.backend.backend()
    return backend == "torch" or (backend == "jax" and not on_cpu())


def _fused(query, key, value, mask, bias, causal, scale):
    """The backend's own kernel, which takes `(B, T, H, D)` and never shows its weights."""
    by_time = (ops.swapaxes(x, 1, 2) for x in (query, key, value))
    # Keras lets the TPU's kernel see one sample's and head's mask, and no bias.
    flash = False if on_tpu() and (mask is not None or bias is not None) else None
    options = {"mask": mask, "bias": bias, "is_causal": causal, "scale": scale, "flash_attention": flash}
    output = ops.dot_product_attention(*by_time, **options)
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
