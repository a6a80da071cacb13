"""The part that the commands that train share: they open, begin and continue a run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

from keras_tx.cli.console import quiet
from keras_tx.cli.options import ABOUT_THE_RUN, is_given
from keras_tx.extras import require_extra

if TYPE_CHECKING:
    from keras_tx.training import Run


def open_run(context: typer.Context, **changed: Any) -> tuple[Run, dict[str, Any]]:
    """Returns the run that a command is about, and the options to train it by.

    Args:
        context: the command's.
        changed: options in the form that `run.json` has them in, where that differs from the command line's.

    Raises:
        MissingExtraError: without the library that draws the pictures at the end.
        ValueError: with --resume, for options that are not those the run was begun with.
    """
    require_extra("matplotlib", "plot")
    with quiet():
        import keras  # noqa: F401
        import tensorflow  # noqa: F401 - for tf.data, on any backend
    from keras_tx.training import Run

    run = Run(context.params["runs"] / context.params["name"])
    asked = {key: value for key, value in context.params.items() if key not in ABOUT_THE_RUN} | changed
    return run, _resumed(context, run.options(), asked) if context.params["resume"] else asked


def _resumed(context: typer.Context, stored: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Returns the options of a run begun earlier, with which those given now must agree."""
    if stored.keys() != asked.keys():
        raise ValueError("the run was begun by another version of keras_tx: begin another run.")
    for key in filter(lambda key: is_given(context, key), asked):
        if stored[key] != asked[key]:
            option = "--" + key.replace("_", "-")
            began = f"without {option}" if stored[key] is None else f"with {option} {stored[key]}"
            raise ValueError(f"the run was begun {began}, not {asked[key]}: leave {option} out, or begin another run.")
    return stored


def begin_or_continue(context: typer.Context, run: Run, options: dict[str, Any], data: dict[str, Any]) -> None:
    """Makes the run's directory, or with --resume requires that its data are these.

    Args:
        context: the command's.
        run: as `open_run` gives it.
        options: likewise.
        data: what tells the data from others.
    """
    if context.params["resume"]:
        run.require(data)
    else:
        run.begin(options, data, overwrite=context.params["overwrite"])


def verbosity() -> int:
    """Returns Keras's `verbose`: a progress bar on a terminal, a line an epoch elsewhere."""
    return 1 if sys.stdout.isatty() else 2
