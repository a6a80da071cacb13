"""The terminal: messages, progress and errors of the commands."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer


@contextmanager
def named(option: str) -> Iterator[None]:
    """Puts an option's name before the errors that its value causes."""
    try:
        yield
    except (ValueError, FileNotFoundError) as error:
        raise ValueError(f"{option}: {error}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Hides what TensorFlow's libraries write to stderr while they load: no setting of theirs does."""
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(nowhere)
        os.close(stderr)


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Gives what moves a bar: a function of how much is done, and of how much in all."""
    with typer.progressbar(length=1, label=label) as bar:

        def move(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield move


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Prints the warnings of a block, when it has ended, without the place in the code that they came from."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for warning in caught:
        if warning.category is UserWarning:
            typer.echo(f"note: {warning.message}")
