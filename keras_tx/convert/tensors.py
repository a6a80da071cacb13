"""Tensors in files, read a few rows at a time; safetensors in and out.

The safetensors library checks a file's header, but maps its data into memory, where every page read counts as
used; here the data is read from the file, so that a model needs little more memory to load than to be.
"""

from __future__ import annotations

import dataclasses
import json
import math
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors import SafetensorError, safe_open

CHUNK_BYTES = 2**24
"""How much is read at a time, unless one row is longer."""

_DTYPES = {
    "F64": np.dtype("float64"),
    "F32": np.dtype("float32"),
    "F16": np.dtype("float16"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype("int64"),
    "I32": np.dtype("int32"),
    "U8": np.dtype("uint8"),
    "BOOL": np.dtype("bool"),
}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor in a file.

    Attributes:
        shape: its shape.
        dtype: its dtype in the file.
        rows: reads `[start, stop)` of its first axis; a scalar is one row.
        file: where it lies.
        in_parts: whether reading some rows does not read the others, too.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    rows: Callable[[int, int], np.ndarray]
    file: Path
    in_parts: bool = True

    @property
    def nbytes(self) -> int:
        """The size of its data."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self) -> np.ndarray:
        """Returns the whole tensor."""
        return self.rows(0, self.shape[0] if self.shape else 1)

    def chunks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Gives all rows in order, as pairs of the first one's number and some of them."""
        row = max(math.prod(self.shape[1:]) * self.dtype.itemsize, 1)
        count = self.shape[0] if self.shape else 1
        step = max(CHUNK_BYTES // row, 1) if self.in_parts else max(count, 1)
        for start in range(0, count, step):
            yield start, self.rows(start, min(start + step, count))

    def equals(self, other: Tensor) -> bool:
        """Returns whether both hold the same numbers."""
        if self.shape != other.shape:
            return False
        return all(np.array_equal(rows, other.rows(i, i + len(np.atleast_1d(rows)))) for i, rows in self.chunks())

    def transposed(self, axes: tuple[int, ...]) -> Tensor:
        """Returns the tensor with its axes in another order."""

        def rows(start: int, stop: int) -> np.ndarray:
            return self.read().transpose(axes)[start:stop]

        return Tensor(tuple(self.shape[axis] for axis in axes), self.dtype, rows, self.file, in_parts=False)

    def first_row(self) -> Tensor:
        """Returns the first row of the tensor."""

        def rows(start: int, stop: int) -> np.ndarray:
            return self.rows(0, 1)[0, start:stop]

        return Tensor(self.shape[1:], self.dtype, rows, self.file, in_parts=False)


# === Reading ===


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Returns the tensors of a safetensors file by name; their data is not read yet.

    Raises:
        ValueError: for a file that is truncated, longer than its header says, or whose header is not one.
    """
    try:
        with safe_open(path, "numpy"):
            pass
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path} is not a whole safetensors file: {error}.") from None
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size), object_pairs_hook=_without_repeats)
    header.pop("__metadata__", None)
    return {name: _in_safetensors(path, 8 + size, name, entry) for name, entry in header.items()}


def safetensors_metadata(path: Path) -> dict[str, str]:
    """Returns what a whole safetensors file says of itself."""
    with safe_open(path, "numpy") as file:
        return file.metadata() or {}


def _without_repeats(pairs: list[tuple[str, object]]) -> dict:
    names = [name for name, _ in pairs]
    repeated = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else ()
    if repeated:
        raise ValueError(f"a safetensors header names {', '.join(sorted(repeated))} twice: the file was tampered with.")
    return dict(pairs)


def _in_safetensors(path: Path, data: int, name: str, entry: Mapping) -> Tensor:
    if entry["dtype"] not in _DTYPES:
        raise ValueError(f"{path}: tensor {name} is of dtype {entry['dtype']}; {', '.join(_DTYPES)} can be read.")
    dtype, shape = _DTYPES[entry["dtype"]], tuple(entry["shape"])
    row = math.prod(shape[1:]) * dtype.itemsize

    def rows(start: int, stop: int) -> np.ndarray:
        wanted = (stop - start) * row
        raw = np.fromfile(path, "uint8", count=wanted, offset=data + entry["data_offsets"][0] + start * row)
        if raw.size != wanted:
            raise ValueError(f"{path} became shorter while it was read.")
        return raw.view(dtype).reshape((stop - start, *shape[1:]) if shape else ())

    return Tensor(shape, dtype, rows, path)


# === Writing ===


def write_safetensors(path: Path, tensors: Mapping[str, tuple[tuple[int, ...], Callable[[], np.ndarray]]]) -> None:
    """Writes tensors one after another, so that only one is in memory.

    Args:
        path: the file.
        tensors: shape, and a function that gives the float32 values, by name.
    """
    header: dict[str, dict] = {"__metadata__": {"format": "pt"}}  # Transformers wants to know
    end = 0
    for name, (shape, _) in tensors.items():
        begin, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data begins at a multiple of eight
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for shape, values in tensors.values():
            array = np.ascontiguousarray(values(), "float32")
            assert array.shape == tuple(shape)
            file.write(array.data)  # unlike `tofile` it says why it fails
