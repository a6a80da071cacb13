"""Training a language model on a stream of tokens, step by step, so that it can be stopped and resumed anywhere."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import keras
import numpy as np

from keras_tx.extras import has_extra
from keras_tx.models.core.config import Config
from keras_tx.models.core.text import TextModel
from keras_tx.ops.checks import require_positive
from keras_tx.training.data.blocks import random_blocks, whole_stream
from keras_tx.training.metrics.tokens import BitsPerToken
from keras_tx.training.optim.optimizer import adamw
from keras_tx.training.resume.resumable import fit_resumably


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(Config):
    """The hyperparameters of training a language model; the defaults are those of a small character model."""

    steps: int = 2000
    batch_size: int = 12
    block_size: int = 64
    """Tokens a sample."""
    learning_rate: float = 1e-3
    min_learning_rate: float = 1e-4
    """Reached at the last step, by a cosine."""
    warmup_steps: int = 100
    weight_decay: float = 0.1
    beta_2: float = 0.99
    clip_norm: float = 1.0
    epoch_steps: int = 250
    """Steps between two validations; the training state is saved as often."""
    seed: int = 1337

    def __post_init__(self):
        require_positive(
            steps=self.steps, batch_size=self.batch_size, block_size=self.block_size, epoch_steps=self.epoch_steps
        )


def compile_language_model(model: TextModel, recipe: Recipe) -> None:
    """Compiles a model for next-token training under XLA, with the loss in nats and the metric `bits`."""
    model.compile(
        optimizer=adamw(
            model,
            learning_rate=recipe.learning_rate,
            steps=recipe.steps,
            warmup_steps=recipe.warmup_steps,
            min_learning_rate=recipe.min_learning_rate,
            weight_decay=recipe.weight_decay,
            beta_2=recipe.beta_2,
            clip_norm=recipe.clip_norm,
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[BitsPerToken()],
        jit_compile=True,
    )


def train_language_model(
    model: TextModel,
    train_ids: np.ndarray,
    validation_ids: np.ndarray,
    recipe: Recipe,
    directory: str | Path,
    *,
    resume: bool = False,
    callbacks: list[keras.callbacks.Callback] | None = None,
    verbose: int | str = "auto",
) -> None:
    """Trains by `model.fit`; leaves `state.safetensors` and `metrics.csv` in `directory`.

    With the extra `tensorboard` installed there are TensorBoard's events in `directory/tensorboard` too.

    Args:
        model: a language model, not compiled.
        train_ids: the tokens to train on, integers `(N,)`.
        validation_ids: the tokens to validate on after each epoch, all of them.
        recipe: how.
        directory: where to; made if need be.
        resume: go on from the state saved there, with the same weights to the bit as if never stopped.
        callbacks: further ones.
        verbose: as in `fit`.

    Raises:
        ValueError: if the texts are shorter than a block, or the saved state is of another model.
        Interrupted: after Ctrl-C or SIGTERM, when the state is saved.
    """
    directory, callbacks = Path(directory), list(callbacks or ())
    if has_extra("tensorboard"):
        callbacks.append(keras.callbacks.TensorBoard(directory / "tensorboard", write_graph=False))
    validation = whole_stream(validation_ids, recipe.block_size, 10 * recipe.batch_size)
    compile_language_model(model, recipe)
    fit_resumably(
        model,
        lambda step: random_blocks(train_ids, recipe.block_size, recipe.batch_size, seed=recipe.seed, start=step),
        validation,
        directory,
        steps=recipe.steps,
        epoch_steps=recipe.epoch_steps,
        resume=resume,
        callbacks=callbacks,
        verbose=verbose,
    )
