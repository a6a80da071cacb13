"""The jobs. One module is one job: a `UNIT` of work, and `SIDES`, a function for each library that can do it.

    UNIT = "step"
    SIDES = {"keras_tx": ours, "keras_hub": theirs}

Such a function takes the `Side` and the `Options`, makes everything that is not to be timed, and returns the `Work`.
A new job is a new module; a new peer is one more function in `SIDES`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple


class Options(NamedTuple):
    """What the command line says about the size of a job.

    Attributes:
        batch_size: rows; None for the job's own number.
        tiny: sizes that take no time, to see that everything runs.
        dtype: what the libraries compute in, "float32" or "bfloat16", where the job lets them.
    """

    batch_size: int | None = None
    tiny: bool = False
    dtype: str = "float32"


class Work(NamedTuple):
    """One side of a job, ready to go.

    Attributes:
        run: does the work once, to the end (nothing is left running on a device), and raises if it was not done.
        units: units of work in one `run`.
        size: what the work is, for the report, as "batch 4, length 128".
        bytes_read: bytes of weights that every unit must at least read, if that is what bounds it; 0 otherwise.
    """

    run: Callable[[], None]
    units: int
    size: str
    bytes_read: int = 0


def load(name: str) -> ModuleType:
    """The job of that name in this folder or, if it has a dot, the module of that name.

    Raises:
        ValueError: if there is none.
    """
    path = name if "." in name else f"{__name__}.{name}"
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name != path:
            raise  # the job is there, but something it imports is not
        raise ValueError(f"there is no job {name!r}.") from None
