"""The whole state of training in one file, written whole, so that a killed run goes on to the same bit."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from keras_tx.files import whole_file


def save_state(path: str | Path, model: keras.Model) -> int:
    """Writes weights, seeds of all random generators, and the optimizer's state; how many steps have been taken.

    Args:
        path: of the file, in safetensors format.
        model: compiled and built.
    """
    if keras.backend.backend() == "jax":
        model.jax_state_sync()  # inside `fit` the arrays live in the trainer, not in the model
    variables = _variables(model)
    tensors = {name: np.asarray(keras.ops.convert_to_numpy(variable)) for name, variable in variables.items()}
    paths = {name: variable.path for name, variable in variables.items()}
    with whole_file(path) as partial:
        partial.write_bytes(save(tensors, metadata={"paths": json.dumps(paths)}))
    return int(model.optimizer.iterations)


def restore_state(path: str | Path, model: keras.Model) -> int:
    """Puts back what `save_state` wrote; how many steps had been taken.

    Raises:
        ValueError: if the file is damaged, or is not of this model and optimizer. Nothing is changed then.
    """
    variables = _variables(model)
    try:
        with safe_open(path, "numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except Exception as error:  # safetensors raises its own type, outside the standard tree
        raise ValueError(f"{path} is not a training state: {error}. Start afresh.") from error
    for name in sorted(variables.keys() | tensors.keys()):
        want = tuple(variables[name].shape) if name in variables else "nothing"
        have = tensors[name].shape if name in tensors else "nothing"
        if want != have:
            raise ValueError(f"{path} is of another model or optimizer: it has {have} for {name}, not {want}.")
    for name, variable in variables.items():
        variable.assign(tensors[name])
    return int(model.optimizer.iterations)


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    """All state by owner and order: paths hold names that depend on what else the process has built."""
    owners = {"model": model.variables, "optimizer": model.optimizer.variables}
    return {f"{owner}/{i:04d}": variable for owner, variables in owners.items() for i, variable in enumerate(variables)}


class Interrupted(Exception):
    """Training was asked to stop and has saved its state.

    Attributes:
        signal: the number of the signal that asked.
        step: how many steps had been taken.
    """

    def __init__(self, signal: int, step: int):
        super().__init__(f"stopped at step {step}, which is saved: continue with --resume")
        self.signal = signal
        self.step = step


class SaveState(keras.callbacks.Callback):
    """Saves the training state after each epoch, and when asked to stop.

    Args:
        path: of the file.
        every: also save after every so many steps of a call of `fit`.

    Raises:
        Interrupted: from within `fit`, after a signal that `catch` caught.
    """

    def __init__(self, path: str | Path, every: int | None = None):
        super().__init__()
        self.path = Path(path)
        self.every = every
        self.signal: int | None = None

    @contextmanager
    def catch(self) -> Iterator[None]:
        """Within this block Ctrl-C and SIGTERM stop training after the step under way; a second one stops at once."""

        def note(number, frame):
            self.signal = number
            signal.signal(number, before[number])

        heard: tuple[signal.Signals, ...] = (signal.SIGINT, signal.SIGTERM)
        if threading.current_thread() is not threading.main_thread():
            heard = ()  # signals come to the main thread, and only there they can be caught
        before = {number: signal.signal(number, note) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def on_train_begin(self, logs=None):
        self.steps = 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += self.model.steps_per_execution
        if batch + 1 == self.params["steps"]:
            return  # the epoch ends here: its metrics are recorded before its last step counts as done
        if self.signal is not None or (self.every and self.steps % self.every == 0):
            self._save()

    def on_epoch_end(self, epoch, logs=None):
        self._save()

    def _save(self):
        step = save_state(self.path, self.model)
        if self.signal is not None:
            raise Interrupted(self.signal, step)
