"""From logits to the next token: the controls of sampling, in Transformers' order and meaning."""

from __future__ import annotations

import keras
from keras import ops

from keras_tx.generation.processors import REMOVED
from keras_tx.ops.dropout import FixedSeed
from keras_tx.ops.primitives import argmax


def step_seed(seed, index, stream: int = 0) -> FixedSeed:
    """The seed of one step, from the uint32 seed of the whole text.

    Args:
        seed: uint32 scalar.
        index: int32 scalar, the column that the step fills.
        stream: tells draws of the same step apart.
    """
    return FixedSeed(ops.stack([seed, ops.cast(index + stream * 2**29, "uint32")]))


def next_token(logits, controls: dict, *, do_sample: bool, top_k: int | None = None, seed: FixedSeed | None = None):
    """One token a row.

    Args:
        logits: `(B, V)` float32.
        controls: see `warp`.
        do_sample: draw from the distribution; otherwise take the likeliest, and no control counts.
        top_k: see `warp`.
        seed: for drawing.

    Returns:
        int32 `(B,)`.
    """
    if not do_sample:
        return argmax(logits)
    if seed is None:
        raise ValueError("`seed` must be given to draw.")
    return draw(warp(logits, controls, top_k), seed)


def warp(logits, controls: dict, top_k: int | None = None, *, keep: int = 1):
    """The logits to draw from.

    Args:
        logits: `(B, V)` float32.
        controls: float scalars by name: `temperature` divides the logits; `top_p` keeps the likeliest tokens that
            together reach that probability (Holtzman et al. 2020); `min_p` drops tokens less likely than that share
            of the likeliest one. One that is absent costs nothing.
        top_k: keep this many of the likeliest tokens; None or 0 for all.
        keep: so many of the likeliest stay in any case.
    """
    vocab_size = logits.shape[-1]
    if "temperature" in controls:
        logits = logits / controls["temperature"]
    if top_k or "top_p" in controls:
        best, _ = ops.top_k(logits, min(max(top_k, keep) if top_k else vocab_size, vocab_size))  # the likeliest first
        least = best[:, -1:]
        if "top_p" in controls:
            probabilities = ops.softmax(best, axis=-1)
            before = ops.cumsum(probabilities, axis=-1) - probabilities
            kept = ops.sum(ops.cast(before < controls["top_p"], "int32"), axis=-1, keepdims=True)
            least = ops.take_along_axis(best, ops.maximum(kept, keep) - 1, axis=-1)
        logits = ops.where(logits < least, REMOVED, logits)
    if "min_p" in controls:
        least = ops.max(logits, axis=-1, keepdims=True) + ops.log(controls["min_p"])
        if keep > 1:
            least = ops.minimum(least, ops.top_k(logits, keep)[0][:, -1:])
        logits = ops.where(logits < least, REMOVED, logits)
    return logits


def draw(logits, seed: FixedSeed):
    """A token a row from the distribution of the logits `(B, V)`: int32 `(B,)`."""
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
