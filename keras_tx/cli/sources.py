"""The source argument of commands: the directory of a run or of a checkpoint, or a hub id."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from keras_tx.training import Run

RunOrCheckpoint = Annotated[
    str,
    typer.Argument(
        metavar="RUN_OR_CHECKPOINT",
        help="Directory of a trained run, such as runs/quickstart, or of a checkpoint of keras_tx, Transformers or "
        "timm; or a hub id such as openai-community/gpt2.",
        show_default=False,
    ),
]


def run_of(source: str) -> Run | None:
    """The run that a source names, which may not be there; None for a checkpoint or a hub id."""
    from keras_tx.training import Run

    run, place = Run(Path(source)), Path(source)
    on_hub = not place.exists() and len(place.parts) == 2 and place.parts[0] not in (".", "..", "/", "runs")
    is_checkpoint = on_hub or place.suffix == ".npz" or (place / "config.json").exists()
    return run if run.record.exists() or not is_checkpoint else None
