"""HDF5 files of weights, Transformers' and Keras's, read as they are; nothing in them leads elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from keras_tx.convert.tensors import Tensor


def read_h5(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by their whole names, from "/" on; their data is not read yet.

    Raises:
        ValueError: for a file that is not HDF5, is truncated, or leads out of itself by links.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return {
                key: Tensor(dataset.shape, _dtype(dataset), partial(_rows, path, key), path)
                for key, dataset in _datasets(file, path)
            }
    except OSError as error:
        raise ValueError(f"{path} is not a whole HDF5 file: {error}.") from None


def _datasets(group, path: Path) -> Iterator[tuple[str, Any]]:
    """The datasets below a group by their whole names, from this file alone."""
    import h5py

    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{path}: {group.name}/{name} is a link, perhaps to another file: it is not followed.")
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from _datasets(item, path)
        elif item.external or item.is_virtual:
            raise ValueError(f"{path}: {item.name} keeps its data in another file: it is not followed.")
        else:
            yield item.name, item


def _dtype(dataset) -> np.dtype:
    """What the numbers are; HDF5 has no bfloat16, which Keras writes as two bytes each and names beside them."""
    return np.dtype(ml_dtypes.bfloat16) if dataset.attrs.get("dtype") == "bfloat16" else dataset.dtype


def _rows(path: Path, key: str, start: int, stop: int) -> np.ndarray:
    import h5py

    with h5py.File(path, "r") as file:
        dataset = file[key]
        values = np.asarray(dataset[start:stop] if dataset.shape else dataset[()])
        return values.view(_dtype(dataset))
