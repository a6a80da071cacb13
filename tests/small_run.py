"""A small training run with dropout. As a program it trains in a directory until it kills itself.

python tests/small_run.py DIRECTORY MOMENT [STEPS], the moment one of `MOMENTS`, after so many steps of this process.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from safetensors.numpy import load_file

from keras_tx import GPTModel, Recipe, train_language_model

VOCAB_SIZE = 13
IDS = np.random.default_rng(0).integers(0, VOCAB_SIZE, 700).astype("int32").cumsum() % VOCAB_SIZE
RECIPE = Recipe(steps=40, epoch_steps=10, batch_size=4, block_size=8, warmup_steps=5)
SPLIT = 600


def small_model() -> GPTModel:
    keras.utils.set_random_seed(5)
    rates = dict.fromkeys(("embedding_dropout", "attention_dropout", "residual_dropout"), 0.1)
    return GPTModel(vocab_size=VOCAB_SIZE, max_positions=8, num_layers=1, num_heads=2, d_model=16, **rates)


def train(directory: Path, *, resume: bool = False, callbacks=(), recipe: Recipe = RECIPE) -> GPTModel:
    model = small_model()
    train_language_model(
        model, IDS[:SPLIT], IDS[SPLIT:], recipe, directory, resume=resume, callbacks=list(callbacks), verbose=0
    )
    return model


def tensors(directory: Path) -> dict[str, np.ndarray]:
    return load_file(directory / "state.safetensors")


def step_of(directory: Path) -> int | None:
    """The step of the saved state; None if there is none."""
    return int(tensors(directory)["optimizer/0000"]) if (directory / "state.safetensors").exists() else None


class After(keras.callbacks.Callback):
    """Acts after so many steps of one process, or before the step that follows them."""

    def __init__(self, steps: int, act: Callable[[], None], *, next_step: bool = False):
        super().__init__()
        self.left = steps
        self.act = act
        self.next_step = next_step

    def on_train_batch_begin(self, batch, logs=None):
        if not self.left and self.next_step:
            self.act()

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left and not self.next_step:
            self.act()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_in_the_write() -> None:
    write = Path.write_bytes

    def half(path: Path, data: bytes) -> int:
        write(path, data[: len(data) // 2])
        die()
        return 0

    Path.write_bytes = half  # type: ignore[method-assign]


def die_at_the_rename() -> None:
    def watch(event, arguments):
        if event == "os.rename" and Path(arguments[1]).name == "state.safetensors":
            die()

    sys.addaudithook(watch)


MOMENTS = {
    "after the step": lambda steps: After(steps, die),
    "before the next step": lambda steps: After(steps, die, next_step=True),
    "in the write of the state": lambda steps: After(steps, die_in_the_write),
    "at the rename of the state": lambda steps: After(steps, die_at_the_rename),
}

if __name__ == "__main__":
    train(Path(sys.argv[1]), resume=True, callbacks=[MOMENTS[sys.argv[2]](int(sys.argv[3]))])
