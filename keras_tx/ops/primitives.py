"""Operations that every export format has a kernel for, or that can be made of such."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from keras import ops

_portable = ContextVar("portable", default=False)
_converted = ContextVar("converted", default=False)
_fixed_ranges = ContextVar("fixed_ranges", default=False)


@contextmanager
def portable_graph() -> Iterator[None]:
    """Graphs traced in this block hold no operation that only XLA's runtimes have; they may be slower for it."""
    token = _portable.set(True)
    try:
        yield
    finally:
        _portable.reset(token)


@contextmanager
def converted_graph(*, fixed_ranges: bool = False) -> Iterator[None]:
    """Graphs traced in this block are portable, and in the forms that converters to other formats know best.

    Args:
        fixed_ranges: whether each tensor is to be held in 8 bits of one range, so that none may have a number far from
            all others.
    """
    tokens = _converted.set(True), _fixed_ranges.set(fixed_ranges)
    try:
        with portable_graph():
            yield
    finally:
        _converted.reset(tokens[0])
        _fixed_ranges.reset(tokens[1])


def is_converted() -> bool:
    """Whether what is traced now is to be such a graph."""
    return _converted.get()


def has_fixed_ranges() -> bool:
    """Whether no tensor of what is traced now may have a number far from all others."""
    return _fixed_ranges.get()


def ceil_div(x, divisor: int):
    """`x / divisor` rounded up, of an integer or integers that are not negative.

    `-(-x // divisor)` is that too, but not in ONNX, whose division of integers rounds towards 0.
    """
    return (x + divisor - 1) // divisor


def argmax(x):
    """Index of the largest number along the last axis, the first of equals; int32."""
    return ops.cast(ops.argmax(x, axis=-1), "int32")


def write(x, update, start, axis: int):
    """`x` with `update` in place of what stands from index `start` of one axis on; all other axes are equally long.

    XLA does it in place. In a portable graph all of `x` is written again: on TensorFlow Keras's `slice_update` is an
    operation of XLA's, which TensorFlow Serving, LiteRT and ONNX do not run.
    """
    if not _portable.get():
        return ops.slice_update(x, [start if i == axis else 0 for i in range(len(x.shape))], update)
    count = ops.shape(update)[axis]
    offsets = ops.arange(ops.shape(x)[axis], dtype="int32") - start
    inside = ops.logical_and(offsets >= 0, offsets < count)
    inside = ops.reshape(inside, [-1 if i == axis else 1 for i in range(len(x.shape))])
    if update.shape[axis] != 1:  # one broadcasts by itself
        update = ops.take(update, ops.clip(offsets, 0, count - 1), axis=axis)
    return ops.where(inside, update, x)
