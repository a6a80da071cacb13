"""Fine-tuning: a pre-trained model learns a task, the faster the nearer a layer is to its head."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import keras

from keras_tx.models.core.base import Model
from keras_tx.models.core.config import Config
from keras_tx.ops.checks import require_positive, require_rate
from keras_tx.training.data.batches import Augment, EpochOfFit, ShuffledBatches
from keras_tx.training.optim.optimizer import adamw


@dataclasses.dataclass(frozen=True, kw_only=True)
class FineTuning(Config):
    """The hyperparameters that a pre-trained model is fine-tuned with.

    The defaults are those of Devlin et al. 2019, appendix A.3, with what makes them stable on small data sets: Adam's
    bias correction and the warm-up (Mosbach et al. 2021), and lower rates for lower layers.
    """

    epochs: int = 3
    batch_size: int = 32
    learning_rate: float = 5e-5
    """The highest, of the topmost block."""
    head_learning_rate: float | None = None
    """The rate of the head; None for `learning_rate`. A fresh head on a small data set may take 1e-3."""
    layer_decay: float = 0.95
    """The rate of each layer as a share of the rate of the layer above it (Howard & Ruder 2018; Sun et al. 2019)."""
    frozen_layers: int = 0
    """The number of lowest blocks that are frozen, and the embeddings with them; 0 freezes nothing."""
    schedule: Literal["linear", "cosine"] = "linear"
    warmup: float = 0.1
    """The share of all steps in which the rate rises."""
    weight_decay: float = 0.01
    beta_2: float = 0.999
    clip_norm: float | None = 1.0
    seed: int = 0
    """The seed of the order of the examples."""

    def __post_init__(self):
        require_positive(epochs=self.epochs, batch_size=self.batch_size)
        require_rate(warmup=self.warmup)
        for name in ("learning_rate", "head_learning_rate"):
            rate = getattr(self, name)
            if rate is not None and not rate > 0:
                raise ValueError(f"`{name}` must be above 0; got {rate}.")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"`layer_decay` must lie in (0, 1], 1 for one rate; got {self.layer_decay}.")


def freeze_layers(model: Model, layers: int) -> None:
    """Makes the embeddings and the lowest blocks untrainable.

    `model.trainable = False` and then `= True` takes that back. A `.keras` file keeps it; what `save_pretrained` writes
    does not, so that all of a model that `from_pretrained` gives can be trained.

    Args:
        model: built, and to be compiled afterwards.
        layers: how many blocks; 0 for the embeddings alone.

    Raises:
        ValueError: if there are no more blocks than that, or fewer than no blocks.
    """
    depths = _depths(model, model.weights)
    blocks = _top(depths)
    if not 0 <= layers <= blocks:
        raise ValueError(f"`layers` must lie in [0, {blocks}], the blocks of the model; got {layers}.")
    for weight, depth in zip(model.weights, depths, strict=True):
        if depth is not None and depth <= layers:
            weight.trainable = False


def layer_scales(model: Model, layer_decay: float, head_scale: float = 1.0) -> list[float]:
    """Returns the factor of the learning rate for each trainable weight.

    Args:
        model: built.
        layer_decay: the rate of a layer as a share of the rate of the layer above it; the topmost block's is 1.
        head_scale: of what is above all blocks.
    """
    depths = _depths(model, model.trainable_variables)
    top = _top(depths)
    return [head_scale if depth is None else layer_decay ** (top - depth) for depth in depths]


def compile_for_fine_tuning(model: Model, recipe: FineTuning, steps: int) -> None:
    """Freezes lower layers and compiles a model to train with its head's own loss under XLA.

    Args:
        model: built; its weights loaded.
        recipe: how.
        steps: batches in all epochs together.
    """
    if recipe.frozen_layers:
        freeze_layers(model, recipe.frozen_layers)
    head = recipe.learning_rate if recipe.head_learning_rate is None else recipe.head_learning_rate
    optimizer = adamw(
        model,
        learning_rate=recipe.learning_rate,
        steps=steps,
        warmup_steps=int(recipe.warmup * steps),
        schedule=recipe.schedule,
        weight_decay=recipe.weight_decay,
        beta_2=recipe.beta_2,
        clip_norm=recipe.clip_norm,
        scales=layer_scales(model, recipe.layer_decay, head / recipe.learning_rate),
    )
    model.compile(optimizer, jit_compile=True)


def fine_tune(
    model: Model,
    inputs: Any,
    labels: Any,
    recipe: FineTuning | None = None,
    *,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | None = None,
    augment: Augment | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
) -> keras.callbacks.History:
    """Trains a model with its head's own loss.

    Args:
        model: its weights loaded.
        inputs: what the model takes, arrays by name.
        labels: as the model's head takes them, with as many rows.
        recipe: how; the defaults unless given.
        sample_weight: of each row, or of each of its labels; None for 1.
        class_weight: of each class, where the labels name one each.
        augment: makes of a batch's inputs, its labels and a seed of the batch's own, two integers, the inputs and
            labels to train on: other ones in each epoch.
        callbacks: as in `fit`. With `BackupAndRestore` a training that broke off goes on in the epoch where it did,
            with the examples in that epoch's order.
        verbose: as in `fit`.

    Returns:
        What `fit` does.
    """
    recipe = recipe or FineTuning()
    batches = ShuffledBatches(
        inputs, labels, recipe.batch_size, sample_weight=sample_weight, seed=recipe.seed, augment=augment
    )
    compile_for_fine_tuning(model, recipe, recipe.epochs * len(batches))
    options: dict[str, Any] = {"class_weight": class_weight, "verbose": verbose}
    options["callbacks"] = [*callbacks, EpochOfFit(batches)]
    return model.fit(batches, epochs=recipe.epochs, shuffle=False, **options)


def _depths(model: Model, weights: Sequence[keras.Variable]) -> list[int | None]:
    """Returns how many layers lie below each weight; None above all blocks."""
    paths = {id(weight): path for path, weight in model.weights_by_path().items()}
    return [model.layer_depth(paths[id(weight)]) if id(weight) in paths else None for weight in weights]


def _top(depths: list[int | None]) -> int:
    """The depth of the topmost block."""
    return max((depth for depth in depths if depth is not None), default=0)
