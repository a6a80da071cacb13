"""Filling a model's weights from a checkpoint, a few rows at a time."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import keras
import numpy as np

from keras_tx.convert.account import Account
from keras_tx.convert.table import Rule
from keras_tx.convert.tensors import Tensor

Progress = Callable[[int, int], None]
"""Called with the number of tensors done, and of all."""


def fill(
    weights: Mapping[str, keras.Variable],
    account: Account,
    tensors: Mapping[str, Tensor],
    progress: Progress | None = None,
) -> None:
    """Gives the weights the checkpoint's numbers.

    Args:
        weights: the model's weights by path below the model.
        account: what fills what; without problems.
        tensors: the checkpoint's.
        progress: told of each tensor done.

    Raises:
        ValueError: if the table and the model differ, a number is not finite, or two copies of one table differ.
    """
    told = {path for rule in (*(rule for rule, _ in account.found), *account.fresh) for path in rule.ours}
    if told != weights.keys():
        raise ValueError(
            "an override must not change what a model is made of; the model and the checkpoint's family differ in "
            f"{', '.join(sorted(told ^ weights.keys()))}."
        )
    for name, copy in account.copies:
        _check_copy(tensors, name, copy)
    for done, (rule, name) in enumerate(account.found):
        _assign([weights[path] for path in rule.ours], rule, name, tensors[name])
        if progress:
            progress(done + 1, len(account.found))


def _assign(variables: list[keras.Variable], rule: Rule, name: str, tensor: Tensor) -> None:
    if rule.axes is None and len(variables) == 1 and len(tensor.shape) > 1:
        for start, rows in tensor.chunks():
            assign_rows(variables[0], start, _finite(rows, name))
    else:
        for variable, values in zip(variables, rule.to_ours(_finite(tensor.read(), name)), strict=True):
            variable.assign(values)


def _finite(values: np.ndarray, name: str) -> np.ndarray:
    values = values.astype("float32", copy=False)
    if not np.isfinite(values).all():
        raise ValueError(f"tensor {name} of the checkpoint holds numbers that are not finite: the file is damaged.")
    return values


def _check_copy(tensors: Mapping[str, Tensor], name: str, copy: str) -> None:
    pairs = zip(tensors[name].chunks(), tensors[copy].chunks(), strict=True)
    if not all(np.array_equal(a, b) for (_, a), (_, b) in pairs):
        raise ValueError(
            f"the config ties {copy} to {name}, but the checkpoint holds other numbers in each: pass "
            "`tie_embeddings=False` to load both."
        )


def assign_rows(variable: keras.Variable, start: int, rows: np.ndarray) -> None:
    """Writes rows of a variable, from `start` on, where it lies: a large table is never held twice."""
    rows = rows.astype(variable.dtype)
    if len(rows) == variable.shape[0]:
        variable.assign(rows)
    elif keras.backend.backend() == "tensorflow":
        variable.value[start : start + len(rows)].assign(rows)
    elif keras.backend.backend() == "jax":
        variable.assign(_rows_written()(variable.value, rows, start))
    else:
        variable.assign(keras.ops.slice_update(variable.value, (start, *(0,) * (rows.ndim - 1)), rows))


@functools.cache
def _rows_written() -> Callable:
    import jax

    def written(x, rows, start):
        return jax.lax.dynamic_update_slice_in_dim(x, rows, start, axis=0)

    return jax.jit(written, donate_argnums=0)
