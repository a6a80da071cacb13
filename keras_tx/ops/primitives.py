"""Operations that not every export format has: each in the form that suits the graph that is traced.

Exporters say which kind of graph they trace, and who computes calls the operation.
"""

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
    """Graphs traced in this block have no operation that only XLA runs, though they may be slower for it."""
    token = _portable.set(True)
    try:
        yield
    finally:
        _portable.reset(token)


@contextmanager
def converted_graph(*, fixed_ranges: bool = False) -> Iterator[None]:
    """Graphs traced in this block are portable, and of operations that converters to other formats know.

    Args:
        fixed_ranges: whether each tensor is quantized to 8 bits over one range, so that none may have a number that is
            far from all others.
    """
    tokens = _converted.set(True), _fixed_ranges.set(fixed_ranges)
    try:
        with portable_graph():
            yield
    finally:
        _converted.reset(tokens[0])
        _fixed_ranges.reset(tokens[1])


def is_converted() -> bool:
    """Whether the graph traced now is to be converted to another format."""
    return _converted.get()


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


def hide_scores(scores, mask, lowest: float):
    """Scores before a softmax along the last axis, those that a mask hides replaced by `lowest`.

    In a graph of fixed ranges they stay near the others: the softmax gives each e^-8 of what the least of these gets.
    """
    if _fixed_ranges.get():
        return ops.where(mask, scores, ops.min(scores, axis=-1, keepdims=True) - 8.0)
    return ops.where(mask, scores, ops.cast(lowest, scores.dtype))


def axis_product(x, matrix, axis: int):
    """A matrix `(new, old)` times maps `(B, H, W, C)` along their height, axis 1, or their width, axis 2."""
    if not is_converted():
        return ops.einsum("ih,bhwc->biwc" if axis == 1 else "jw,bhwc->bhjc", matrix, x)
    # Of this `einsum` LiteRT's converter makes a tensor that has no valid shape.
    x = ops.moveaxis(x, axis, -1)
    new, old = ops.shape(matrix)
    product = ops.matmul(ops.reshape(x, (-1, old)), ops.transpose(matrix))
    return ops.moveaxis(ops.reshape(product, (-1, *ops.shape(x)[1:3], new)), -1, axis)
