"""From logits to the next token: the controls of sampling, in Transformers' order and meaning."""

from __future__ import annotations

import keras
from keras import ops

from keras_tx.ops.primitives import argmax

CONTROLS = ("temperature", "top_p", "min_p", "repetition_penalty")
"""The controls whose values may change without compiling again; one that is absent costs nothing."""

_REMOVED = -1e30


class StepSeed(keras.random.SeedGenerator):
    """A seed without state: it always draws the key it was made with, `(2,)` uint32."""

    def __init__(self, key):
        self.key = key

    def next(self, ordered=True):
        return self.key


def next_token(logits, controls: dict, *, do_sample: bool, top_k: int | None = None, key=None, seen=None):
    """One token a row.

    Args:
        logits: `(B, V)`.
        controls: float scalars by name, of `CONTROLS`: `temperature` divides the logits; `top_p` keeps the likeliest
            tokens that together reach that probability (Holtzman et al. 2020); `min_p` drops tokens less likely than
            that share of the likeliest one; `repetition_penalty` divides the positive and multiplies the negative
            logits of tokens in `seen` (Keskar et al. 2019).
        do_sample: draw from the distribution; otherwise take the likeliest, and only the repetition penalty counts.
        top_k: keep this many of the likeliest tokens; None or 0 for all.
        key: `(2,)` uint32 for drawing.
        seen: `(B, V)` boolean, tokens the repetition penalty is for.

    Returns:
        int32 `(B,)`.
    """
    logits = ops.cast(logits, "float32")
    if "repetition_penalty" in controls:
        penalty = controls["repetition_penalty"]
        logits = ops.where(seen, ops.where(logits < 0, logits * penalty, logits / penalty), logits)
    if not do_sample:
        return argmax(logits)
    if "temperature" in controls:
        logits = logits / controls["temperature"]
    if top_k or "top_p" in controls:
        vocab_size = logits.shape[-1]
        best, _ = ops.top_k(logits, min(top_k or vocab_size, vocab_size))  # (B, k), the likeliest first
        least = best[:, -1:]
        if "top_p" in controls:
            probabilities = ops.softmax(best, axis=-1)
            before = ops.cumsum(probabilities, axis=-1) - probabilities
            kept = ops.sum(ops.cast(before < controls["top_p"], "int32"), axis=-1, keepdims=True)
            least = ops.take_along_axis(best, ops.maximum(kept - 1, 0), axis=-1)
        logits = ops.where(logits < least, _REMOVED, logits)
    if "min_p" in controls:
        least = ops.max(logits, axis=-1, keepdims=True) + ops.log(controls["min_p"])
        logits = ops.where(logits < least, _REMOVED, logits)
    return keras.random.categorical(logits, 1, dtype="int32", seed=StepSeed(key))[:, 0]
