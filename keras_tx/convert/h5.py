"""HDF5 files of weights, Transformers' and Keras's, read as they are; nothing in them leads elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from keras_tx.convert.tensors import Tensor

_DAMAGE = (OSError, LookupError, RuntimeError, ValueError, TypeError, ArithmeticError, MemoryError)
"""The errors that h5py raises on damaged files; which one it is depends on where the damage lies."""


def read_h5(path: Path) -> dict[str, Tensor]:
    """Returns the tensors of a file by their whole names, from "/" on; their data is not read yet.

    Raises:
        ValueError: for a file that is not HDF5, is truncated or damaged, or leads out of itself by links.
    """
    tensors, elsewhere = {}, {}
    with _opened(path) as file:
        for name, item in _items(file, set()):
            if isinstance(item, str):
                elsewhere[name] = item
            else:
                tensors[name] = Tensor(item.shape, _dtype(item), partial(_rows, path, name), path)
    for name, reason in elsewhere.items():
        raise ValueError(f"{path}: {name} {reason}: it is not followed.")
    return tensors


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file, while it is read.

    Raises:
        ValueError: for whatever h5py says of bytes that it cannot read.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except _DAMAGE as error:
        raise ValueError(
            f"{path} is not a whole HDF5 file, or it is damaged: {error}. Download or copy it anew."
        ) from None


def _items(group, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Gives the datasets below a group by their whole names; of one that would lead elsewhere, how it does."""
    import h5py

    for name in group:
        whole = f"{group.name.rstrip('/')}/{name}"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            yield whole, "is a link, perhaps to another file"
            continue
        item = group[name]
        if isinstance(item, h5py.Group):
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:  # which may be a group above it
                yield whole, "is a second name of another group"
                continue
            seen.add(address)
            yield from _items(item, seen)
        elif item.external or item.is_virtual:
            yield whole, "keeps its data in another file"
        else:
            yield whole, item


def _dtype(dataset) -> np.dtype:
    """Returns the dtype of a dataset; HDF5 has no bfloat16, which Keras writes as two bytes and names beside them."""
    return np.dtype(ml_dtypes.bfloat16) if dataset.attrs.get("dtype") == "bfloat16" else dataset.dtype


def _rows(path: Path, key: str, start: int, stop: int) -> np.ndarray:
    with _opened(path) as file:
        dataset = file[key]
        values = np.asarray(dataset[start:stop] if dataset.shape else dataset[()])
        if values.dtype.kind not in "biufV":
            raise TypeError(f"{key} holds no numbers but {values.dtype}")
        return values.view(_dtype(dataset))
