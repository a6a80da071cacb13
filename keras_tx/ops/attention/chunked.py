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
from keras_tx.ops.attention.scores import LOWEST, group, mix, score
from keras_tx.ops.dropout import FixedSeed
from keras_tx.ops.dropout import dropout as random_dropout
from keras_tx.ops.primitives import ceil_div, write


class _Settings(NamedTuple):
    """The arguments of `attention` that are not tensors."""

    causal: bool
    scale: float
    soft_cap: float | None
    dropout: float
    chunk_size: int


class _Inputs(NamedTuple):
    """The tensors, all floating point; None for those that are not there."""

    query: Any  # (B, H, T, D)
    key: Any  # (B, K, S, D)
    value: Any  # (B, K, S, D')
    bias: Any  # broadcastable to (B, H, T, S)
    mask: Any  # likewise, above 0 where a query may look
    sinks: Any  # (1, H, 1, 1)
    draw: Any  # (2,), what dropout draws by


class _Chunk(NamedTuple):
    start: Any  # its first key
    key: Any  # (B, K, C, D)
    value: Any  # (B, K, C, D')
    bias: Any  # the part of it that goes to these keys
    scores: Any  # (B, H, T, C)
    allowed: Any  # broadcastable to (B, H, T, C)
    drop: Any  # dropout of its weights, the same whenever it is asked for


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
    settings = _Settings(causal, scale, soft_cap, dropout, chunk_size)
    # What JAX traces reaches a gradient of one's own as an argument alone, and only floating point is differentiated.
    mask = None if mask is None else ops.cast(mask, "float32")
    draw = _draw(seed) if dropout and seed is not None else None
    inputs = _Inputs(query, key, value, bias, mask, sinks, draw)
    given = {name: ops.convert_to_tensor(x) for name, x in inputs._asdict().items() if x is not None}
    absent = dict.fromkeys(_Inputs._fields)

    def attend(*tensors):
        inputs = _Inputs(**absent | dict(zip(given, tensors, strict=True)))
        output, log_sum = _forward(inputs, settings)

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            found = _backward(inputs, settings, output, log_sum, ops.cast(upstream, output.dtype))._asdict()
            return tuple(ops.cast(found[name], x.dtype) for name, x in zip(given, tensors, strict=True))

        return ops.cast(output, inputs.query.dtype), gradient

    return ops.custom_gradient(attend)(*given.values())


# === The two passes ===


def _forward(inputs: _Inputs, settings: _Settings) -> tuple:
    """The output, `(B, H, T, D')`, and the logarithm of the sum of the scores' exponentials, `(B, H, T, 1)`."""
    dtype = keras.backend.result_type(inputs.query.dtype, "float32")
    rows = ops.shape(inputs.query)[:3]
    padded = _padded(inputs, settings)

    def step(index, state):
        largest, total, mixed = state
        chunk = _chunk(padded, settings, index, _length(inputs))
        scores = ops.where(chunk.allowed, chunk.scores, ops.cast(LOWEST, chunk.scores.dtype))
        new = ops.maximum(largest, ops.max(scores, axis=-1, keepdims=True))
        weights = ops.where(chunk.allowed, ops.exp(scores - new), ops.zeros((), scores.dtype))
        shrink = ops.exp(largest - new)
        total = total * shrink + ops.sum(weights, axis=-1, keepdims=True)
        added = mix(ops.cast(chunk.drop(weights), chunk.value.dtype), chunk.value)
        return new, total, mixed * shrink + ops.cast(added, mixed.dtype)

    largest, total = ops.full((*rows, 1), LOWEST, dtype), ops.zeros((*rows, 1), dtype)
    if inputs.sinks is not None:
        largest, total = ops.broadcast_to(inputs.sinks, (*rows, 1)), ops.ones((*rows, 1), dtype)
    mixed = ops.zeros((*rows, ops.shape(inputs.value)[-1]), dtype)
    largest, total, mixed = ops.fori_loop(0, _count(inputs, settings), step, (largest, total, mixed))
    total = ops.where(total == 0, ops.ones_like(total), total)  # of a row that sees nothing
    return mixed / total, largest + ops.log(total)


def _backward(inputs: _Inputs, settings: _Settings, output, log_sum, upstream) -> _Inputs:
    """The gradients by the inputs, of `upstream`, that by the output; zeros by what is not differentiated."""
    query, heads = inputs.query, inputs.key.shape[1]
    along = ops.sum(upstream * output, axis=-1, keepdims=True)
    padded = _padded(inputs, settings)

    def step(index, found):
        of_query, of_key, of_value, of_bias = found
        chunk = _chunk(padded, settings, index, _length(inputs))
        weights = ops.where(chunk.allowed, ops.exp(chunk.scores - log_sum), ops.zeros((), chunk.scores.dtype))
        own = _by_key(chunk.drop(weights), upstream, heads)
        of_value = write(of_value, ops.cast(own, of_value.dtype), chunk.start, axis=2)
        of_weights = chunk.drop(score(upstream, ops.cast(chunk.value, upstream.dtype), 1.0, None, None))
        of_scores = weights * (of_weights - along)
        if chunk.bias is not None:
            of_bias = _add_bias(of_bias, of_scores, chunk.start)
        if settings.soft_cap:
            capped = chunk.scores if chunk.bias is None else chunk.scores - ops.cast(chunk.bias, chunk.scores.dtype)
            of_scores = of_scores * (1 - ops.square(capped / settings.soft_cap))
        of_scores = of_scores * settings.scale
        of_query = of_query + mix(of_scores, ops.cast(chunk.key, of_scores.dtype))
        own = _by_key(of_scores, ops.cast(query, of_scores.dtype), heads)
        of_key = write(of_key, ops.cast(own, of_key.dtype), chunk.start, axis=2)
        return of_query, of_key, of_value, of_bias

    bias = ops.zeros(()) if inputs.bias is None else padded.bias
    start = tuple(ops.zeros(ops.shape(x), output.dtype) for x in (query, padded.key, padded.value, bias))
    of_query, of_key, of_value, of_bias = ops.fori_loop(0, _count(inputs, settings), step, start)
    of_sinks = None
    if inputs.sinks is not None:
        of_sinks = -ops.sum(ops.exp(inputs.sinks - log_sum) * along, axis=(0, 2, 3), keepdims=True)
    return _Inputs(
        query=of_query,
        key=_cut(of_key, inputs.key, 2),
        value=_cut(of_value, inputs.value, 2),
        bias=None if inputs.bias is None else _cut(of_bias, inputs.bias, -1),
        mask=None if inputs.mask is None else ops.zeros_like(inputs.mask),
        sinks=of_sinks,
        draw=None if inputs.draw is None else ops.zeros_like(inputs.draw),
    )


# === Chunks ===


def _length(inputs: _Inputs):
    return ops.shape(inputs.key)[2]


def _count(inputs: _Inputs, settings: _Settings):
    return ceil_div(_length(inputs), settings.chunk_size)


def _padded(inputs: _Inputs, settings: _Settings) -> _Inputs:
    """Pads keys, values, bias and mask with zeros to a whole number of chunks."""
    missing = _count(inputs, settings) * settings.chunk_size - _length(inputs)

    def pad(x, axis: int):
        widths = [(0, missing) if i == axis % len(x.shape) else (0, 0) for i in range(len(x.shape))]
        return ops.pad(x, widths)

    bias, mask = (pad(x, -1) if _by_keys(x) else x for x in (inputs.bias, inputs.mask))
    return inputs._replace(key=pad(inputs.key, 2), value=pad(inputs.value, 2), bias=bias, mask=mask)


def _chunk(padded: _Inputs, settings: _Settings, index, length) -> _Chunk:
    """The chunk of this number, of `length` keys in all."""
    size = settings.chunk_size
    start = index * size
    key, value = (_slice(x, start, size, 2) for x in (padded.key, padded.value))
    bias, mask = (_slice(x, start, size, -1) if _by_keys(x) else x for x in (padded.bias, padded.mask))
    positions = start + ops.arange(size, dtype="int32")
    queries = ops.arange(ops.shape(padded.query)[2], dtype="int32")
    allowed = masks.combine(
        ops.reshape(positions < length, (1, size)),
        masks.causal(queries, positions) if settings.causal else None,
        None if mask is None else mask > 0,
    )

    def drop(weights):
        if padded.draw is None:
            return weights
        first, second = ops.unstack(ops.cast(padded.draw, "uint32"))
        seed = FixedSeed(ops.stack([first + ops.cast(index, "uint32"), second]))
        return random_dropout(weights, settings.dropout, seed)

    scores = score(padded.query, key, settings.scale, settings.soft_cap, bias)
    return _Chunk(start, key, value, bias, scores, allowed, drop)


def _draw(seed: SeedGenerator):
    """A random key as floating point: two whole numbers that float32 holds exactly."""
    return ops.cast(keras.random.randint((2,), 0, 2**24, seed=seed), "float32")


def _by_keys(x) -> bool:
    """Whether what broadcasts to `(B, H, T, S)` has a number for each key."""
    return x is not None and bool(x.shape) and x.shape[-1] != 1


def _slice(x, start, size: int, axis: int):
    starts, sizes = [0] * len(x.shape), list(ops.shape(x))
    starts[axis], sizes[axis] = start, size
    return ops.slice(x, starts, sizes)


def _cut(x, to, axis: int):
    """`x` without what it was padded with: as long as `to`."""
    return _slice(x, 0, ops.shape(to)[axis], axis) if to.shape else x


# === Gradients of a chunk ===


def _by_key(weights, x, num_kv_heads: int):
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
