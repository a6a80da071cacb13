"""Sampling: how logits become the next token, with Transformers' options in its order and meaning."""

from __future__ import annotations

import keras
from keras import ops

from keras_tx.generation.processors import REMOVED
from keras_tx.generation.state import Decoding
from keras_tx.ops.dropout import FixedSeed
from keras_tx.ops.primitives import argmax


def step_seed(seed, index, stream: int = 0) -> FixedSeed:
    """The seed of one step, from the uint32 seed of the whole text.

    Args:
        seed: uint32 scalar; or keys `(B, 2)`, one a row, of a seed and a number that the index is added to. A row then
            draws the same whatever the other rows are.
        index: int32 scalar, the column that the step fills.
        stream: tells draws of the same step apart.
    """
    step = ops.cast(index + stream * 2**29, "uint32")
    if len(seed.shape) > 1:
        return FixedSeed(ops.stack([seed[:, 0], seed[:, 1] + step], axis=1))
    return FixedSeed(ops.stack([seed, step]))


def next_token(logits, controls: dict, *, do_sample: bool, top_k: int | None = None, seed: FixedSeed | None = None):
    """One token a row.

    Args:
        logits: `(B, V)` float32.
        controls: see `warp`.
        do_sample: draw from the distribution; otherwise take the likeliest, and no control counts. Rows that have a
            `temperature` of their own, and it is 0, take the likeliest too.
        top_k: see `warp`.
        seed: for drawing.

    Returns:
        int32 `(B,)`.
    """
    if not do_sample:
        return argmax(logits)
    if seed is None:
        raise ValueError("`seed` must be given to draw.")
    if "temperature" not in controls or not len(controls["temperature"].shape):
        return draw(warp(logits, controls, top_k), seed)
    warm = controls["temperature"] > 0
    controls = {**controls, "temperature": ops.where(warm, controls["temperature"], 1.0)}

    def row_by_row():
        return ops.where(warm[:, 0], draw(warp(logits, controls, top_k), seed), argmax(logits))

    return ops.cond(ops.any(warm), row_by_row, lambda: argmax(logits))


def warp(logits, controls: dict, top_k: int | None = None, *, keep: int = 1):
    """The logits to draw from.

    Args:
        logits: `(B, V)` float32.
        controls: float scalars by name, or `(B, 1)`: `temperature` divides the logits; `top_p` keeps the likeliest
            tokens that together reach that probability (Holtzman et al. 2020); `min_p` drops tokens less likely than
            that share of the likeliest one; `typical_p` keeps those nearest to the expected surprise that together
            reach that probability (Meister et al. 2022); `epsilon_cutoff` and `eta_cutoff` drop those of less
            probability (Hewitt et al. 2022); `top_k` is as below, for graphs in which it may change. One that is absent
            costs nothing.
        top_k: keep this many of the likeliest tokens; None or 0 for all.
        keep: so many of the likeliest stay in any case.
    """
    vocab_size = logits.shape[-1]
    if "temperature" in controls:
        logits = logits / controls["temperature"]
    if top_k or controls.keys() & {"top_k", "top_p"}:
        best, _ = ops.top_k(logits, min(max(top_k, keep) if top_k else vocab_size, vocab_size))  # the likeliest first
        least = best[:, -1:]
        if "top_k" in controls:
            ranks, kept = ops.arange(best.shape[-1], dtype="float32"), controls["top_k"]
            among = ranks < ops.where(kept > 0, ops.maximum(kept, float(keep)), float(best.shape[-1]))
            least = ops.min(ops.where(among, best, -REMOVED), axis=-1, keepdims=True)
            best = ops.where(among, best, REMOVED)
        if "top_p" in controls:
            shares = probabilities(best)
            before = ops.cumsum(shares, axis=-1) - shares
            kept = ops.sum(ops.cast(before < controls["top_p"], "int32"), axis=-1, keepdims=True)
            least = ops.maximum(least, ops.take_along_axis(best, ops.maximum(kept, keep) - 1, axis=-1))
        logits = ops.where(logits < least, REMOVED, logits)
    if "min_p" in controls:
        few = ops.max(logits, axis=-1, keepdims=True) + ops.log(controls["min_p"]) > logits
        logits = _without(logits, few, keep)
    if "typical_p" in controls:
        logits = _typical(logits, controls["typical_p"], keep)
    if "epsilon_cutoff" in controls:
        logits = _without(logits, probabilities(logits) < controls["epsilon_cutoff"], keep)
    if "eta_cutoff" in controls:
        cutoff, p = controls["eta_cutoff"], probabilities(logits)
        cutoff = ops.minimum(cutoff, ops.sqrt(cutoff) * ops.exp(-_entropy(logits)))
        logits = _without(logits, p < cutoff, keep)
    return logits


def scored(logits, controls: dict, decoding: Decoding, *, keep: int = 1):
    """The logits after `process` as the choice sees them: warped where tokens are drawn, and made to sum to 1 if asked.

    Args:
        logits: `(B, V)` float32.
        controls, keep: see `warp`.
        decoding: the loop's fixed choices.
    """
    if decoding.do_sample:
        logits = warp(logits, controls, decoding.top_k, keep=keep)
    return ops.log_softmax(logits, axis=-1) if decoding.renormalize_logits else logits


def _without(logits, removed, keep: int):
    """The logits without the tokens of a mask, but for the `keep` likeliest, which stay."""
    return ops.where(ops.logical_and(removed, logits < ops.top_k(logits, keep)[0][:, -1:]), REMOVED, logits)


def _typical(logits, mass, keep: int):
    """The logits of the tokens whose surprise is nearest to the expected one and that together reach a probability."""
    distance = ops.abs(-ops.log_softmax(logits, axis=-1) - _entropy(logits))
    nearest, order = ops.top_k(-distance, distance.shape[-1])
    reached = ops.cumsum(ops.take_along_axis(probabilities(logits), ops.cast(order, "int32"), axis=-1), axis=-1)
    kept = ops.sum(ops.cast(reached < mass, "int32"), axis=-1, keepdims=True)
    kept = ops.clip(kept, keep - 1, distance.shape[-1] - 1)
    return ops.where(-distance < ops.take_along_axis(nearest, kept, axis=-1), REMOVED, logits)


def _entropy(logits):
    """`(B, 1)`: the expected surprise, in nats."""
    return -ops.sum(probabilities(logits) * ops.log_softmax(logits, axis=-1), axis=-1, keepdims=True)


def draw(logits, seed: FixedSeed):
    """A token a row from the distribution of the logits `(B, V)`: int32 `(B,)`."""
    if len(seed.key.shape) > 1:
        return ops.map(lambda row: draw(row[0][None], FixedSeed(row[1]))[0], (logits, seed.key))
    return keras.random.categorical(logits, 1, dtype="int32", seed=seed)[:, 0]


def probabilities(logits):
    """The distribution of the logits `(..., V)`."""
    return ops.softmax(logits, axis=-1)


def gumbel(like, seed: FixedSeed):
    """Noise in the shape of log-probabilities, `(B, V)`: with it added, the N largest are N draws without replacement.

    Their order is that of drawing (Kool et al. 2019).
    """
    uniform = keras.random.uniform(ops.shape(like), seed=seed)
    return -ops.log(-ops.log(ops.maximum(uniform, 1e-38)))
