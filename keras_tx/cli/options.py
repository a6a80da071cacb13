"""What the commands' options have in common."""

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

RunArgument = Annotated[
    Path, typer.Argument(help="Directory of a trained run, as runs/quickstart.", show_default=False)
]
SourceArgument = Annotated[
    str,
    typer.Argument(help="Directory of a checkpoint, or a hub id such as openai-community/gpt2.", show_default=False),
]
RevisionOption = Annotated[
    str | None, typer.Option(help="Branch, tag or commit on the hub; main unless given.", show_default=False)
]
