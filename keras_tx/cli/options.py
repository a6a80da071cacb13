"""The options that several commands share, and checks of their values."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

MAX_SEED = 2**32 - 1


def _number(rule: str, valid: Callable[[float], bool]) -> Callable[[float], float]:
    """Checks an option's value by a rule that NaN breaks too."""

    def check(value: float) -> float:
        if not valid(value):
            raise typer.BadParameter(f"{value} is not {rule}.")
        return value

    return check


positive = _number("above 0", lambda x: 0 < x < math.inf)
not_negative = _number("0 or above", lambda x: 0 <= x < math.inf)
rate = _number("at least 0 and below 1", lambda x: 0 <= x < 1)
probability = _number("above 0 and at most 1", lambda x: 0 < x <= 1)

NameOption = Annotated[str, typer.Option(help="Name of the run.")]
RunsOption = Annotated[Path, typer.Option(help="Directory of all runs.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Continue the run of that name.")]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Begin anew, and move an earlier run of that name to NAME.previous.")
]
ABOUT_THE_RUN = ("name", "runs", "resume", "overwrite")
"""Options that `run.json` does not keep."""


def is_given(context: typer.Context, key: str) -> bool:
    """Tells whether the user gave an option, so that its value is not the default."""
    source = context.get_parameter_source(key)
    return source is not None and source.name != "DEFAULT"


SourceArgument = Annotated[
    str,
    typer.Argument(help="Directory of a checkpoint, or a hub id such as openai-community/gpt2.", show_default=False),
]
RevisionOption = Annotated[
    str | None, typer.Option(help="Branch, tag or commit on the hub; main by default.", show_default=False)
]
