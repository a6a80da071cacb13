"""Checks of shapes, dtypes and values, with errors that name the argument, the value and the way out."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops


def is_boolean(x) -> bool:
    return keras.backend.standardize_dtype(x.dtype) == "bool"


def require_rank(x, rank: int, name: str, axes: str) -> None:
    """Raise ValueError unless `x` has `rank` axes; `axes` describes them, as "(batch, length)"."""
    if len(x.shape) != rank:
        raise ValueError(f"`{name}` must be {axes}; got shape {tuple(x.shape)}.")


def require_width(x, width: int, name: str) -> None:
    """Raise ValueError unless the last axis of `x` is `width` long."""
    if x.shape[-1] is not None and x.shape[-1] != width:
        raise ValueError(f"the last axis of `{name}` must be {width}; got shape {tuple(x.shape)}.")


def require_shape(x, shape: tuple[int | None, ...], name: str) -> None:
    """Raise ValueError unless `x` has this shape, as far as both are known."""
    have = tuple(x.shape)
    if len(have) != len(shape) or any(a != b and None not in (a, b) for a, b in zip(have, shape, strict=True)):
        raise ValueError(f"`{name}` must have shape {shape}; got {have}.")


def require_integer(x, name: str) -> None:
    """Raise ValueError unless `x` holds integers."""
    dtype = keras.backend.standardize_dtype(x.dtype)
    if "int" not in dtype:
        raise ValueError(f"`{name}` must be integers, int32 for preference; got dtype {dtype}.")


def as_integers(x, name: str):
    """Returns integers: `x`, or whole numbers in float32 and float64 as int32.

    Keras traces a model with float32 where it does not know its inputs' dtypes, as it does on exporting a
    `keras.Model` of one's own around this one, and its own `Embedding` casts them likewise.

    Raises:
        ValueError: for other dtypes, and for numbers that are not whole; in a graph these become -1.
    """
    if keras.backend.standardize_dtype(x.dtype) not in ("float32", "float64"):
        require_integer(x, name)
        return x
    values = known_values(x)
    if values is not None and (values != np.floor(values)).any():
        raise ValueError(f"`{name}` must be integers; got {values[values != np.floor(values)][0]}.")
    return ops.where(x == ops.floor(x), ops.cast(x, "int32"), -1)


def require_below(x, limit: int, name: str, limit_name: str) -> None:
    """Raise ValueError if a value known now lies outside [0, limit).

    While a graph is being traced no value is known, and nothing is checked.
    """
    values = known_values(x)
    if values is not None and values.size and (values.min() < 0 or values.max() >= limit):
        raise ValueError(
            f"`{name}` must lie in [0, {limit_name}) = [0, {limit}); got values from {values.min()} to {values.max()}."
        )


def require_positive(**values: int | None) -> None:
    """Raise ValueError for the first argument that is neither None nor a whole number of at least 1."""
    for name, value in values.items():
        if value is not None and (not isinstance(value, (int, np.integer)) or value < 1):
            raise ValueError(f"`{name}` must be a whole number of at least 1; got {value!r}.")


def require_even(**widths: int) -> None:
    """Raise ValueError for the first width that is odd: encodings of positions are made of pairs of channels."""
    for name, width in widths.items():
        if width % 2:
            raise ValueError(f"`{name}` must be even, a number of pairs of channels; got {width}.")


def require_divides(value: int, divisor: int, name: str, divisor_name: str) -> None:
    """Raise ValueError unless `divisor` divides `value`."""
    if value % divisor:
        raise ValueError(
            f"`{name}` must be a multiple of `{divisor_name}`; got {name}={value} and {divisor_name}={divisor}."
        )


def require_rate(**rates: float) -> None:
    """Raise ValueError for the first rate outside [0, 1)."""
    for name, rate in rates.items():
        if not 0 <= rate < 1:
            raise ValueError(f"`{name}` must be a rate in [0, 1); got {rate}.")


def known_values(x) -> np.ndarray | None:
    """`x` as a NumPy array, or None where it is symbolic: a Keras input, or a tensor of a graph being traced."""
    if isinstance(x, keras.KerasTensor):
        return None
    try:
        return np.asarray(ops.convert_to_numpy(x))
    except (AttributeError, NotImplementedError, TypeError):
        return None
