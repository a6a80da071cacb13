"""Making a model of a checkpoint's numbers, one tensor in memory beside it at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import keras
import numpy as np

from keras_tx.convert.account import Account
from keras_tx.convert.table import Rule
from keras_tx.convert.tensors import Tensor

Progress = Callable[[int, int], None]
"""Called with the number of tensors done, and of all."""

Adapt = Callable[[str, np.ndarray], np.ndarray]
"""The values that a weight of this path shall have, from those the checkpoint has for it."""


@contextmanager
def filling(tensors: Mapping[str, Tensor], progress: Progress | None = None) -> Iterator[Filling]:
    """A scope in which a model is made, whose weights get their first values when the scope ends.

    Values that are drawn only to be replaced would cost time, and memory that is not given back. The scope is Keras's
    own for variables whose values come later.

    Args:
        tensors: the checkpoint's.
        progress: told of each tensor done.

    Raises:
        ValueError: at the end, if a number is not finite or two copies of one table differ.
    """
    result = Filling(tensors, progress)
    with keras.StatelessScope():
        yield result
    if result.error:
        raise result.error


class Filling:
    """See `filling`."""

    def __init__(self, tensors: Mapping[str, Tensor], progress: Progress | None):
        self.tensors = tensors
        self.progress = progress
        self.error: Exception | None = None
        self._begun: dict[Rule, dict[int, np.ndarray]] = {}
        self._done = 0

    def supply(
        self, weights: Mapping[str, keras.Variable], account: Account, adapt: Adapt = lambda path, values: values
    ) -> None:
        """Gives each weight its tensor for a first value; a fresh one keeps its initializer.

        Args:
            weights: the model's weights by path below the model.
            account: what fills what; without problems.
            adapt: what is done to each weight's values, where the model differs in size from the checkpoint.

        Raises:
            ValueError: if the table and the model differ.
        """
        told = {path for rule in (*(rule for rule, _ in account.found), *account.fresh) for path in rule.ours}
        if told != weights.keys():
            raise ValueError(
                "an override must not change what a model is made of; the model and the checkpoint's family differ in "
                f"{', '.join(sorted(told ^ weights.keys()))}."
            )
        for name, copy in account.copies:
            _check_copy(self.tensors, name, copy)
        rows: dict[str, dict[int, Callable[[], np.ndarray]]] = {}
        for rule, name in account.found:
            for part, path in enumerate(rule.ours):
                values = partial(self._part, rule, part, name, len(account.found))
                if rule.row is None:
                    weights[path]._initializer = self._initializer(values, partial(adapt, path), rule.flattened)
                else:
                    rows.setdefault(path, {})[rule.row] = values
        for path, parts in rows.items():
            values = partial(_stacked, [parts[row] for row in sorted(parts)])
            weights[path]._initializer = self._initializer(values, partial(adapt, path), False)

    def _initializer(self, values: Callable[[], np.ndarray], adapt: Callable[[np.ndarray], np.ndarray], flat: bool):
        def initial_value(shape, dtype=None):
            # Keras cannot go on after an error here, so it is kept until the scope has ended.
            try:
                if not self.error:
                    given = adapt(values())
                    return _shared(given.reshape(shape) if flat else _of_shape(given, shape), dtype)
            except Exception as error:
                self.error = error
            return keras.ops.zeros(shape, dtype)

        return initial_value

    def _part(self, rule: Rule, part: int, name: str, count: int) -> np.ndarray:
        """The values of one of the weights that share a tensor, which is kept until all have theirs."""
        if rule not in self._begun:
            parts = rule.to_ours(_values(self.tensors[name], name))
            self._begun[rule] = dict(enumerate(parts))
        values = self._begun[rule].pop(part)
        if not self._begun[rule]:
            del self._begun[rule]
            self._done += 1
            if self.progress:
                self.progress(self._done, count)
        return values


def _stacked(rows: list[Callable[[], np.ndarray]]) -> np.ndarray:
    """The array of these rows, one of them in memory beside it at a time."""
    for number, row in enumerate(rows):
        values = row()
        if not number:
            result = _aligned((len(rows), *values.shape))
        result[number] = values
    return result


def _of_shape(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if values.shape != tuple(shape):
        raise ValueError(f"a weight of shape {tuple(shape)} cannot be made of values of shape {values.shape}.")
    return values


def _values(tensor: Tensor, name: str) -> np.ndarray:
    """The tensor in float32."""
    values = _aligned(tensor.shape)
    rows_of = values if tensor.shape else values[None]
    for start, rows in tensor.chunks():
        chunk = rows.astype("float32", copy=False)
        if not np.isfinite(chunk).all():
            raise ValueError(f"tensor {name} of the checkpoint holds numbers that are not finite: the file is damaged.")
        rows_of[start : start + len(np.atleast_1d(rows))] = chunk
    return values


def _aligned(shape: tuple[int, ...]) -> np.ndarray:
    """An empty float32 array that begins where backends want arrays to begin: at a multiple of 64 bytes."""
    size = 4 * math.prod(shape)
    memory = np.empty(size + 64, "uint8")
    return memory[-memory.ctypes.data % 64 :][:size].view("float32").reshape(shape)


def _shared(values: np.ndarray, dtype):
    """The backend's tensor of these values, in the same memory if it can be.

    JAX takes aligned arrays as they are; TensorFlow copies them twice, unless they come by DLPack.
    """
    if not (values.flags.c_contiguous and values.ctypes.data % 64 == 0):
        copy = _aligned(values.shape)
        copy[...] = values
        values = copy
    if keras.backend.backend() != "tensorflow" or not values.size:
        return keras.ops.convert_to_tensor(values, dtype)
    import tensorflow as tf

    return tf.cast(tf.experimental.dlpack.from_dlpack(values.__dlpack__()), dtype)


def _check_copy(tensors: Mapping[str, Tensor], name: str, copy: str) -> None:
    if not tensors[name].equals(tensors[copy]):
        raise ValueError(
            f"{copy} should hold the same numbers as {name}, but the checkpoint has others: where the config ties the "
            "two, pass `tie_embeddings=False` to load both."
        )
