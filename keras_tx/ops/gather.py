"""Taking vectors out of sequences."""

from __future__ import annotations

from keras import ops


def take_positions(x, positions):
    """The vectors of `x`, `(..., T, D)`, at one position a row, `(...)`: `(..., D)`."""
    index = ops.expand_dims(ops.cast(positions, "int32"), (-1, -2))
    return ops.take_along_axis(x, index, axis=-2)[..., 0, :]
