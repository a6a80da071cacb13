"""One vector of a text, made of the hidden states of its tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from keras_tx.layers.core.base import Layer, register
from keras_tx.ops.checks import require_rank, require_shape
from keras_tx.ops.gather import take_positions


@register
class TokenPooling(Layer):
    """Pools the hidden states of a text's tokens into one vector (Reimers and Gurevych 2019, section 3).

    Input: hidden states `(B, T, D)` and a mask `(B, T)`, 0 at what does not count. Output: `(B, N * D)`, N ways of
    pooling side by side.

    Args:
        modes: the ways, in order: "cls", the first token; "max"; "mean"; "mean_sqrt_len_tokens", the sum over the
            square root of their number; "weightedmean", where token i weighs i, counted from 1 (Muennighoff 2022);
            "lasttoken".

    Raises:
        ValueError: for no mode, or one that there is not; at call, for a mask of another shape.
    """

    def __init__(self, modes: Sequence[str] = ("mean",), **kwargs):
        super().__init__(**kwargs)
        if not modes or not set(modes) <= MODES.keys():
            raise ValueError(f"`modes` must be some of {', '.join(MODES)}; got {list(modes)}.")
        self.modes = tuple(modes)

    def build(self, input_shape=None):
        """Nothing to make: pooling has no weights."""

    def call(self, x, mask=None, skip: int = 0):
        """The vectors.

        Args:
            x: `(B, T, D)`.
            mask: `(B, T)`, of the tokens that count; None for all.
            skip: how many of these are left out at the beginning, as those of a prompt may be.
        """
        require_rank(x, 3, "x", "(batch, length, width)")
        counts = ops.ones_like(x[..., 0], "int32") if mask is None else ops.cast(mask, "int32")
        require_shape(counts, tuple(x.shape)[:2], "mask")
        numbers = ops.cumsum(counts, axis=1) * counts  # of the tokens, from 1 on; 0 at padding
        numbers = ops.where(numbers > skip, numbers, 0)
        return ops.concatenate([MODES[mode](x, numbers) for mode in self.modes], axis=-1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], len(self.modes) * input_shape[-1])


def _first(x, numbers):
    return take_positions(x, ops.argmax(ops.cast(numbers > 0, "int32"), axis=1))


def _last(x, numbers):
    return take_positions(x, ops.argmax(numbers, axis=1))


def _maximum(x, numbers):
    return ops.max(ops.where(numbers[..., None] > 0, x, ops.cast(-float("inf"), x.dtype)), axis=1)


def _mean(x, numbers):
    return _weighted(x, ops.cast(numbers > 0, "float32"))


def _mean_sqrt(x, numbers):
    count = ops.sum(ops.cast(numbers > 0, "float32"), axis=1, keepdims=True)
    return _mean(x, numbers) * ops.cast(ops.sqrt(count), x.dtype)


def _weighted_mean(x, numbers):
    return _weighted(x, ops.cast(numbers, "float32"))


def _weighted(x, weights):
    """The mean of vectors with these weights, `(B, T)`; 0 where all are 0."""
    total = ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1e-9)
    return ops.einsum("btd,bt->bd", x, ops.cast(weights / total, x.dtype))


MODES: dict[str, Callable[[Any, Any], Any]] = {
    "cls": _first,
    "max": _maximum,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt,
    "weightedmean": _weighted_mean,
    "lasttoken": _last,
}
"""The ways of pooling by the names of sentence-transformers; each is given the number of each token, from 1 on."""
