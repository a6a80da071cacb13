"""Files and directories written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Gives a path to write to; what was written takes the place of `path` when the block ends.

    If the block raises, or the process dies, `path` is as it was. What a dead process left as `.partial-NAME` the next
    one replaces.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{path.name}")  # the suffix stays: Keras goes by it
    try:
        with _named(path):
            yield partial
            _sync(partial)
        partial.replace(path)
        _sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_directory(path: str | Path) -> Iterator[Path]:
    """Gives an empty directory to fill, which takes the place of `path` when the block ends.

    If the block raises, `path` is as it was. If the process dies between the two renames at the end, what was there
    before is found as `.previous-NAME` beside it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{path.name}")
    previous = path.with_name(f".previous-{path.name}")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        with _named(path):
            yield partial
            for file in partial.rglob("*"):
                if file.is_file():
                    _sync(file)
        shutil.rmtree(previous, ignore_errors=True)
        if path.exists():
            path.replace(previous)
        partial.replace(path)
        _sync(path.parent)
        shutil.rmtree(previous, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_json(path: str | Path, content: Any) -> None:
    """Writes JSON whole or not at all."""
    with whole_file(path) as partial:
        dump_json(partial, content)


def dump_json(path: Path, content: Any) -> None:
    """Writes JSON to a path as it is; for one that `whole_file` gave."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Reads JSON.

    Raises:
        ValueError: if the file is not JSON.
        OSError: if it cannot be read.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not a JSON file: {error}.") from None


def size_of(files: Iterable[Path]) -> int:
    """The bytes of files together; of directories among them nothing."""
    return sum(file.stat().st_size for file in files if file.is_file())


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Lets an error of writing, as that of a full disk, say where it was."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
