"""Files of named arrays, `.npz`, as NumPy writes them; pickles in them are never read."""

from __future__ import annotations

import zipfile
from functools import partial
from pathlib import Path

import numpy as np

from keras_tx.convert.tensors import Tensor


def read_npz(path: Path) -> dict[str, Tensor]:
    """Returns the arrays of a file by name; their data is not read yet.

    Raises:
        ValueError: for a file that is no whole archive of arrays.
    """
    try:
        with np.load(path) as archive, zipfile.ZipFile(path) as members:
            return {name: _tensor(path, name, members) for name in archive.files}
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise ValueError(f"{path} is not a whole archive of arrays: {error}.") from None


def _tensor(path: Path, name: str, members: zipfile.ZipFile) -> Tensor:
    with members.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    return Tensor(shape, dtype, partial(_rows, path, name), path)


def _rows(path: Path, name: str, start: int, stop: int) -> np.ndarray:
    with np.load(path, allow_pickle=False) as archive:
        values = archive[name]
    return values[start:stop] if values.ndim else values
