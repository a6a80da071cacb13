"""Dropout with half the random numbers: drawing them is most of its cost on a CPU."""

from __future__ import annotations

import keras
from keras import ops

_LEVELS = 2**11


def dropout(x, rate: float, seed: keras.random.SeedGenerator):
    """Zeroes elements of `x` with probability `rate` and scales the others by the inverse of their share.

    A uniform float32 has 23 random bits; its upper 11 decide over one element and its lower 12 over another. The
    rate is therefore rounded to a multiple of 1/2048 (but not to 0 or 1), and the scale is that of the rounded rate.

    Args:
        x: floating point, of any shape; only one with an axis known to be even saves draws.
        rate: in (0, 1).
        seed: the generator to draw from.

    Returns:
        Shape and dtype of `x`.
    """
    axis = next((axis for axis, size in enumerate(x.shape) if size and size % 2 == 0), None)
    if axis is None:
        return keras.random.dropout(x, rate, seed=seed)
    shape = [size // 2 if i == axis else size for i, size in enumerate(ops.shape(x))]
    draws = _LEVELS * keras.random.uniform(shape, dtype="float32", seed=seed)
    upper = ops.floor(draws)  # of 0, 1, ..., 2047
    lower = draws - upper  # of 0, 1/4096, ..., 4095/4096
    dropped = min(max(round(rate * _LEVELS), 1), _LEVELS - 1)
    rounded = dropped / _LEVELS
    keep = ops.concatenate([upper >= dropped, lower >= rounded], axis=axis)
    return ops.where(keep, x * ops.cast(1 / (1 - rounded), x.dtype), ops.zeros((), x.dtype))


class FixedSeed(keras.random.SeedGenerator):
    """A seed without state: it always draws the key it was made with, `(2,)`."""

    def __init__(self, key):
        self.key = key

    def next(self, ordered=True):
        return self.key
