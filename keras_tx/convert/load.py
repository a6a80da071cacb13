"""Loading: each tensor of a checkpoint goes to the weights that hold its numbers, one after another."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import keras
import numpy as np

from keras_tx.convert.account import Account
from keras_tx.convert.tensors import Tensor

Progress = Callable[[int, int], None]
"""Called with the number of tensors done, and of all."""

Adapt = Callable[[str, np.ndarray], np.ndarray]
"""Gives the values for the weight of this path, from those that the checkpoint has for it."""


def load(
    weights: Mapping[str, keras.Variable],
    tensors: Mapping[str, Tensor],
    account: Account,
    *,
    adapt: Adapt = lambda path, values: values,
    progress: Progress | None = None,
) -> None:
    """Fills the weights of a model that was made in the `keras.StatelessScope` that this is called in.

    Weights that the account calls fresh get the values of their initializers when the scope ends.

    Args:
        weights: the model's, by path below the model.
        tensors: the checkpoint's, by the names that the account has.
        account: which tensor fills which weights.
        adapt: applied to each weight's values, where the model differs in size from the checkpoint.
        progress: told of each tensor done.

    Raises:
        ValueError: if the account has problems, the table and the model differ, a number is not finite, or two copies
            of one tensor differ.
    """
    try:
        account.require_whole()
        _require_same_weights(weights, account)
        for name, copy in account.copies:
            _require_equal(tensors, name, copy)
        for path, values in _values_by_path(account, tensors, progress):
            _fill(weights[path], adapt(path, values))
    except BaseException:
        for weight in weights.values():  # Keras would draw values, to be thrown away with the model
            weight._initializer = lambda shape, dtype=None: keras.ops.zeros((), dtype)
        raise


def _values_by_path(
    account: Account, tensors: Mapping[str, Tensor], progress: Progress | None
) -> Iterator[tuple[str, np.ndarray]]:
    """Each weight's path and values; one tensor is in memory at a time."""
    rows = Counter(path for rule, _ in account.found if rule.row is not None for path in rule.weights)
    stacked: dict[str, np.ndarray] = {}
    for done, (rule, name) in enumerate(account.found, 1):
        for path, values in zip(rule.weights, rule.to_weights(_read(tensors[name], name)), strict=True):
            if rule.row is None:
                yield path, values
                continue
            if path not in stacked:
                stacked[path] = _aligned((rows[path], *values.shape))
            stacked[path][rule.row] = values
            rows[path] -= 1
            if not rows[path]:
                yield path, stacked.pop(path)
        if progress:
            progress(done, len(account.found))


def _fill(weight: keras.Variable, values: np.ndarray) -> None:
    """Makes these values the first ones of a weight that has none yet.

    Keras has no public way to do that: `assign` needs a weight that has values, and values that are drawn only to be
    replaced cost time, and memory that is not given back. The initializer is the one thing that Keras asks for when
    the scope ends.
    """
    if math.prod(values.shape) != math.prod(weight.shape) or values.ndim < len(weight.shape):
        raise ValueError(f"{weight.path}, of shape {tuple(weight.shape)}, cannot have values of shape {values.shape}.")
    values = values.reshape(tuple(weight.shape))
    if keras.distribution.distribution() is None:
        tensor = _in_same_memory(values, weight.dtype)
        weight._initializer = lambda shape, dtype=None: tensor
    else:  # a tensor made here would lie on one device, as would those of all the other weights
        weight._initializer = lambda shape, dtype=None: _in_same_memory(values, dtype)


def _read(tensor: Tensor, name: str) -> np.ndarray:
    """Returns the tensor in float32."""
    values = _aligned(tensor.shape)
    rows_of = values if tensor.shape else values[None]
    for start, rows in tensor.chunks():
        chunk = rows.astype("float32", copy=False)
        if not np.isfinite(chunk).all():
            raise ValueError(f"tensor {name} of {tensor.file} holds numbers that are not finite: the file is damaged.")
        rows_of[start : start + len(np.atleast_1d(rows))] = chunk
    return values


def _aligned(shape: tuple[int, ...]) -> np.ndarray:
    """Returns an empty float32 array that begins where backends want arrays to begin: at a multiple of 64 bytes."""
    size = 4 * math.prod(shape)
    memory = np.empty(size + 64, "uint8")
    return memory[-memory.ctypes.data % 64 :][:size].view("float32").reshape(shape)


def _in_same_memory(values: np.ndarray, dtype):
    """Returns the backend's tensor of these values, in the same memory if it can be.

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


def _require_same_weights(weights: Mapping[str, keras.Variable], account: Account) -> None:
    named = {path for rule in (*(rule for rule, _ in account.found), *account.fresh) for path in rule.weights}
    if named != weights.keys():
        raise ValueError(
            "an override must not change what a model is made of; the model and the checkpoint's family differ in "
            f"{', '.join(sorted(named ^ weights.keys()))}."
        )


def _require_equal(tensors: Mapping[str, Tensor], name: str, copy: str) -> None:
    if not tensors[name].equals(tensors[copy]):
        raise ValueError(
            f"{copy} should hold the same numbers as {name}, but the checkpoint has others: where the config ties the "
            "two, pass `tie_embeddings=False` to load both."
        )
