"""Exact softmax attention in memory that grows with the length, not with its square: `attention`'s other schedule.

Keys are met chunk by chunk, and the softmax corrected as larger scores turn up (Milakov and Gimelshein 2018; Rabe and
Staats 2021). The gradient computes each chunk's weights again, from the scores' logarithmic sum alone (Dao et al. 2022,
algorithm 4). Shape letters as in `attention`; C keys of a chunk.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops
from keras.random import SeedGenerator

from keras_tx.ops.attention import masks
from keras_tx.ops.attention.softmax import LOWEST, group, mix, score
from keras_tx.ops.dropout import FixedSeed
from keras_tx.ops.dropout import dropout as random_dropout
from keras_tx.ops.primitives import ceil_div, write


class _Chunk(NamedTuple):
    key: Any  # (B, K, C, D)
    value: Any  # (B, K, C, D')
    scores: Any  # (B, H, T, C)
    allowed: Any  # broadcastable to (B, H, T, C)
    bias: Any


def chunked_attention(
    query,
    key,
    value,
    *,
    mask,
    bias,
    causal: bool,
    scale: float,
    soft_cap: float | None,
    sinks,
    dropout: float,
    seed: SeedGenerator | None,
    chunk_size: int,
):
    """`attention`, with its arguments, `chunk_size` keys at a time; differentiable once.

    Memory beside inputs and outputs: `B * H * T * chunk_size` scores, forward and backward.
    """
    length = ops.shape(key)[2]
    count = ceil_div(length, chunk_size)
    draw = seed.next() if dropout and seed is not None else None

    def padded(x, axis: int):
        """With zeros up to a whole number of chunks."""
        widths = [(0, count * chunk_size - length) if i == axis % len(x.shape) else (0, 0) for i in range(len(x.shape))]
        return ops.pad(x, widths)

    def part(x, index):
        """A chunk's share of what broadcasts to `(B, H, T, S)`, filled up."""
        return x if x is None or not x.shape or x.shape[-1] == 1 else _slice(x, index * chunk_size, chunk_size, -1)

    def fill(x):
        return x if x is None or not x.shape or x.shape[-1] == 1 else padded(x, -1)

    def chunk(index, query, key, value, bias, mask) -> _Chunk:
        key, value = (_slice(x, index * chunk_size, chunk_size, 2) for x in (key, value))
        positions = index * chunk_size + ops.arange(chunk_size, dtype="int32")
        real = ops.reshape(positions < length, (1, chunk_size))
        order = masks.causal(ops.arange(ops.shape(query)[2], dtype="int32"), positions) if causal else None
        seen = None if mask is None else part(mask, index) > 0
        allowed = masks.combine(real, order, seen)
        bias = part(bias, index)
        return _Chunk(key, value, score(query, key, scale, soft_cap, bias), allowed, bias)

    def dropped(x, index, halves):
        if draw is None:
            return x
        # Generators count in the second number of a key: chunks differ in the first.
        first, second = _joined(halves, draw.dtype)
        key = ops.stack([first + 7919 * ops.cast(index + 1, draw.dtype), second])
        return random_dropout(x, dropout, FixedSeed(key))

    def forward(query, key, value, bias, mask, halves, sinks):
        def step(index, state):
            largest, total, mixed = state
            c = chunk(index, query, key, value, bias, mask)
            scores = ops.where(c.allowed, c.scores, ops.cast(LOWEST, c.scores.dtype))
            new = ops.maximum(largest, ops.max(scores, axis=-1, keepdims=True))
            weights = ops.where(c.allowed, ops.exp(scores - new), ops.zeros((), scores.dtype))
            shrink = ops.exp(largest - new)
            total = total * shrink + ops.sum(weights, axis=-1, keepdims=True)
            added = mix(ops.cast(dropped(weights, index, halves), c.value.dtype), c.value)
            return new, total, mixed * shrink + ops.cast(added, mixed.dtype)

        dtype = keras.backend.result_type(query.dtype, "float32")
        rows = ops.shape(query)[:3]
        start = (ops.full((*rows, 1), LOWEST, dtype), ops.zeros((*rows, 1), dtype))
        if sinks is not None:
            start = (ops.broadcast_to(sinks, (*rows, 1)), ops.ones((*rows, 1), dtype))
        largest, total, mixed = ops.fori_loop(0, count, step, (*start, ops.zeros((*rows, ops.shape(value)[-1]), dtype)))
        total = ops.where(total == 0, ops.ones_like(total), total)  # of a row that sees nothing
        return mixed / total, largest + ops.log(total)

    def backward(query, key, value, bias, mask, halves, output, log_sum, upstream):
        upstream = ops.cast(upstream, output.dtype)
        along = ops.sum(upstream * output, axis=-1, keepdims=True)

        def step(index, gradients):
            of_query, of_key, of_value, of_bias = gradients
            c = chunk(index, query, key, value, bias, mask)
            weights = ops.where(c.allowed, ops.exp(c.scores - log_sum), ops.zeros((), c.scores.dtype))
            own = _transposed(dropped(weights, index, halves), upstream, key.shape[1])
            of_value = write(of_value, ops.cast(own, of_value.dtype), index * chunk_size, axis=2)
            of_weights = dropped(score(upstream, ops.cast(c.value, upstream.dtype), 1.0, None, None), index, halves)
            of_scores = weights * (of_weights - along)
            if bias is not None:
                of_bias = _add_bias(of_bias, of_scores, index * chunk_size)
            if soft_cap:
                capped = c.scores if c.bias is None else c.scores - ops.cast(c.bias, c.scores.dtype)
                of_scores = of_scores * (1 - ops.square(capped / soft_cap))
            of_scores = of_scores * scale
            of_query = of_query + mix(of_scores, ops.cast(c.key, of_scores.dtype))
            own = _transposed(of_scores, ops.cast(query, of_scores.dtype), key.shape[1])
            return of_query, write(of_key, ops.cast(own, of_key.dtype), index * chunk_size, axis=2), of_value, of_bias

        inputs = [query, key, value, ops.zeros(()) if bias is None else bias]
        start = tuple(ops.zeros(ops.shape(x), output.dtype) for x in inputs)
        return ops.fori_loop(0, count, step, start)

    def attend(query, key, value, *others):
        named = dict(zip(given, others, strict=True))
        filled = (
            padded(key, 2),
            padded(value, 2),
            fill(named.get("bias")),
            fill(named.get("mask")),
            named.get("halves"),
        )
        output, log_sum = forward(query, *filled, named.get("sinks"))

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            of_query, of_key, of_value, of_bias = backward(query, *filled, output, log_sum, upstream)
            found = [of_query, _like(of_key, key, 2), _like(of_value, value, 2)]
            if "bias" in named:
                found.append(_like(of_bias, named["bias"], -1))
            if "sinks" in named:
                shares = ops.exp(named["sinks"] - log_sum)
                along = ops.sum(ops.cast(upstream, output.dtype) * output, axis=-1, keepdims=True)
                found.append(-ops.sum(shares * along, axis=(0, 2, 3), keepdims=True))
            found += [ops.zeros_like(named[name]) for name in ("mask", "halves") if name in named]
            inputs = (query, key, value, *others)
            return tuple(ops.cast(x, to.dtype) for x, to in zip(found, inputs, strict=True))

        return ops.cast(output, query.dtype), gradient

    # What JAX traces reaches a gradient of one's own as an argument alone, and only floating point is differentiated.
    arguments = {
        "bias": bias,
        "sinks": sinks,
        "mask": None if mask is None else ops.cast(mask, "float32"),
        "halves": None if draw is None else _halves(draw),
    }
    given = {name: ops.convert_to_tensor(x) for name, x in arguments.items() if x is not None}
    return ops.custom_gradient(attend)(query, key, value, *given.values())


def _halves(draw):
    """A key of two integers as four numbers that float32 holds exactly."""
    draw = ops.cast(draw, "uint32")
    return ops.cast(ops.concatenate([draw // 65536, draw % 65536]), "float32")


def _joined(halves, dtype):
    high, low = ops.split(ops.cast(ops.cast(halves, "uint32"), dtype), 2)
    return ops.unstack(high * 65536 + low)


def _slice(x, start, size: int, axis: int):
    starts, sizes = [0] * len(x.shape), list(ops.shape(x))
    starts[axis], sizes[axis] = start, size
    return ops.slice(x, starts, sizes)


def _transposed(weights, x, num_kv_heads: int):
    """Weights `(B, H, T, C)` over queries' vectors `(B, H, T, D)`: for each key `(B, K, C, D)`."""
    return ops.einsum("bkqs,bkqd->bksd", group(weights, num_kv_heads), group(x, num_kv_heads))


def _add_bias(total, of_scores, start):
    """Adds a chunk's share, summed over what the bias was broadcast along."""
    shape = (1,) * (4 - len(total.shape)) + tuple(total.shape)
    axes = [axis for axis in range(4) if shape[axis] == 1]
    own = ops.sum(of_scores, axis=axes, keepdims=True) if axes else of_scores
    own = ops.reshape(own, ops.shape(own)[4 - len(total.shape) :]) if len(total.shape) < 4 else own
    own = ops.cast(own, total.dtype)
    return total + own if shape[-1] == 1 else write(total, own, start, axis=len(total.shape) - 1)


def _like(x, to, axis):
    """`x` without what it was filled up with."""
    if not to.shape:
        return x
    return _slice(x, 0, ops.shape(to)[axis], axis)
