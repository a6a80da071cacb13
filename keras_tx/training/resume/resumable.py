"""`model.fit` that can be stopped at any step and goes on to the same bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras

from keras_tx.training.metrics.tokens import MetricsTable
from keras_tx.training.resume.state import SaveState, restore_state

STATE = "state.safetensors"
METRICS = "metrics.csv"


def fit_resumably(
    model: keras.Model,
    batches: Callable[[int], Any],
    validation: Any,
    directory: str | Path,
    *,
    steps: int,
    epoch_steps: int,
    resume: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
) -> None:
    """Trains by `model.fit` to step `steps`; leaves `state.safetensors` and `metrics.csv` in `directory`.

    The state is saved after each epoch, and when Ctrl-C or SIGTERM asks to stop. Where the optimizer keeps averages of
    the weights, the model ends with them.

    Args:
        model: built and compiled.
        batches: from a step to the data set of batches from there on, the same each time.
        validation: a data set, gone through after each epoch.
        directory: where to; made if need be.
        steps: how many there are in all.
        epoch_steps: how many an epoch has; the last one may be shorter.
        resume: go on from the state saved in `directory`, if there is one.
        callbacks: further ones, called before those that record the epoch.
        verbose: as in `fit`.

    Raises:
        ValueError: if the saved state is of another model.
        Interrupted: when asked to stop; the state is saved.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    saved = directory / STATE
    begun = resume and saved.exists()  # a run that died before its first save begins again
    start = restore_state(saved, model) if begun else 0
    state = SaveState(saved)
    # The state comes last: what it saves counts as done.
    recorded = [*callbacks, MetricsTable(directory / METRICS, start), state]
    with state.catch():
        for first, epochs, length in _epochs(start, steps, epoch_steps):
            if first != start:
                restore_state(saved, model)  # each `fit` ends with the averages in place of the weights
            model.fit(
                batches(first),
                initial_epoch=first // epoch_steps,
                epochs=first // epoch_steps + epochs,
                steps_per_epoch=length,
                validation_data=validation,
                callbacks=recorded,
                shuffle=False,  # the batches come in an order of their own
                verbose=verbose,
            )
    if start >= steps:
        model.optimizer.finalize_variable_values(model.trainable_variables)


def _epochs(start: int, steps: int, epoch_steps: int) -> Iterator[tuple[int, int, int]]:
    """The calls of `fit` from step `start` to `steps`, as (first step, epochs, steps an epoch).

    One call, unless an epoch was broken off, or the last one is shorter.
    """
    while start < steps:
        whole = (steps - start) // epoch_steps
        if start % epoch_steps or not whole:
            epochs, length = 1, min(epoch_steps - start % epoch_steps, steps - start)
        else:
            epochs, length = whole, epoch_steps
        yield start, epochs, length
        start += epochs * length
