"""The program `keras-tx`, run in this process, and what its tests do to files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from keras_tx.cli import main

SMALL = ["--layers", "1", "--width", "16", "--heads", "2", "--block-size", "8", "--dropout", "0.1"]
SHORT = [*SMALL, "--steps", "40", "--epoch-steps", "10"]


def run(*arguments) -> int:
    """The exit code of `keras-tx` with these arguments, in this process."""
    before = sys.argv
    sys.argv = ["keras-tx", *map(str, arguments)]
    try:
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0
    finally:
        sys.argv = before


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
