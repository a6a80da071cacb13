"""Training image classifiers from scratch or from a checkpoint, by recipes that are data."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from keras_tx.files import whole_file
from keras_tx.models.core.config import Config
from keras_tx.models.core.images import ImageModel
from keras_tx.ops.checks import require_positive, require_rate
from keras_tx.training.data.images import epoch_steps, training_batches, validation_batches
from keras_tx.training.metrics.tokens import read_table
from keras_tx.training.optim.optimizer import adamw
from keras_tx.training.recipes.finetune import layer_scales
from keras_tx.training.resume.resumable import METRICS, fit_resumably
from keras_tx.vision import Augmentation, ImagePreprocessor

BEST, LAST = "best.weights.h5", "last.weights.h5"

PREPROCESSOR = ImagePreprocessor(mean=(0.5,), std=(0.5,))
"""The preprocessing of images of any number of channels, where none is given."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageRecipe(Config):
    """The hyperparameters that an image classifier is trained with; `RECIPES` holds those of the papers."""

    epochs: int = 300
    batch_size: int = 1024
    learning_rate: float = 1e-3
    """The highest, of the topmost block."""
    min_learning_rate: float = 0.0
    """The last."""
    warmup: float = 5 / 300
    """The share of all steps in which the rate rises."""
    schedule: Literal["cosine", "linear"] = "cosine"
    weight_decay: float = 0.05
    beta_2: float = 0.999
    clip_norm: float | None = None
    layer_decay: float = 1.0
    """The rate of each layer as a share of the rate of the layer above it; 1 but for fine-tuning."""
    label_smoothing: float = 0.0
    """Share of a label that is spread over all classes (Szegedy et al. 2015, section 7), in training alone."""
    ema: float | None = None
    """Decay of a moving average of the weights, which validation sees and training ends with; None for none."""
    augmentation: Augmentation = dataclasses.field(default_factory=Augmentation)
    seed: int = 0
    """The seed of the order of the images, and of their augmentation."""

    def __post_init__(self):
        if isinstance(self.augmentation, dict):  # as JSON has it
            object.__setattr__(self, "augmentation", Augmentation(**self.augmentation))
        require_positive(epochs=self.epochs, batch_size=self.batch_size)
        require_rate(label_smoothing=self.label_smoothing, warmup=self.warmup)
        if not self.learning_rate > 0:
            raise ValueError(f"`learning_rate` must be above 0; got {self.learning_rate}.")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"`layer_decay` must lie in (0, 1], 1 for one rate; got {self.layer_decay}.")
        if self.ema is not None and not 0 < self.ema < 1:
            raise ValueError(f"`ema` must lie in (0, 1), or be None; got {self.ema}.")


_DEIT = ImageRecipe(
    learning_rate=1e-3,
    label_smoothing=0.1,
    augmentation=Augmentation(crop=(0.08, 1.0), flip=True, rand_augment=0.9, mixup=0.8, cutmix=1.0, erasing=0.25),
)

RECIPES = {
    "vit": ImageRecipe(
        batch_size=4096,
        learning_rate=3e-3,
        warmup=32 / 300,
        weight_decay=0.3,
        clip_norm=1.0,
        augmentation=Augmentation(crop=(0.05, 1.0), flip=True),
    ),
    "deit": _DEIT,
    "swin": _DEIT.replace(warmup=20 / 300, clip_norm=1.0),
    "small": ImageRecipe(
        epochs=60,
        batch_size=64,
        warmup=0.1,
        clip_norm=1.0,
        label_smoothing=0.1,
        augmentation=Augmentation(crop=(0.3, 1.0), flip=True),
    ),
    "digits": ImageRecipe(
        epochs=60,
        batch_size=64,
        learning_rate=2e-3,
        warmup=0.1,
        clip_norm=1.0,
        label_smoothing=0.1,
        augmentation=Augmentation(translation=0.1),
    ),
}
"""The recipes by name: ViT from scratch on ImageNet (Dosovitskiy et al. 2020, table 3 and appendix B.1, whose 10,000
steps of warm-up are 32 epochs), DeiT (Touvron et al. 2021, table 9), Swin (Liu et al. 2021, appendix A2.1); and our own
for a few thousand pictures, and for digits, which no mirror leaves what they are.

What belongs to the model is given to it: `drop_path=0.1` for DeiT, 0.2 to 0.5 for Swin, `dropout=0.1` for ViT. DeiT's
repeated augmentation is left out, and magnitudes of RandAugment are drawn up to the papers' 9 instead of around it.
"""


def compile_image_classifier(model: ImageModel, recipe: ImageRecipe, steps_per_epoch: int) -> None:
    """Compiles a model under XLA to train on soft labels, with the metric `accuracy`.

    Args:
        model: built; its weights loaded.
        recipe: how.
        steps_per_epoch: batches an epoch.
    """
    scales = layer_scales(model, recipe.layer_decay) if recipe.layer_decay < 1 else None
    steps = recipe.epochs * steps_per_epoch
    optimizer = adamw(
        model,
        learning_rate=recipe.learning_rate,
        steps=steps,
        warmup_steps=int(recipe.warmup * steps),
        min_learning_rate=recipe.min_learning_rate,
        schedule=recipe.schedule,
        weight_decay=recipe.weight_decay,
        beta_2=recipe.beta_2,
        clip_norm=recipe.clip_norm,
        scales=scales,
        ema=recipe.ema,
    )
    model.compile(
        optimizer,
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.CategoricalAccuracy("accuracy")],
        jit_compile=True,
    )


def train_image_classifier(
    model: ImageModel,
    train: Any,
    validation: Any,
    recipe: ImageRecipe,
    directory: str | Path,
    *,
    preprocessor: ImagePreprocessor | None = None,
    resume: bool = False,
    callbacks: list[keras.callbacks.Callback] | None = None,
    verbose: int | str = "auto",
) -> None:
    """Trains by `model.fit`; leaves `metrics.csv`, `best.weights.h5` and `last.weights.h5` in `directory`.

    It also leaves `state.safetensors` there, from which a run that was stopped goes on.

    The best weights are those of the highest accuracy of validation, the last those that the model ends with.

    Args:
        model: a classifier, not compiled.
        train: images `(N, H, W, C)` of the model's size, values in [0, 255], and labels, integers `(N,)`; or a
            `tf.data.Dataset` of single such images and labels, its length known.
        validation: likewise; all of it is gone through after each epoch.
        recipe: how.
        directory: where to; made if need be.
        preprocessor: what scales and normalizes the images; one of mean and standard deviation 0.5 unless given.
        resume: go on from the state saved there, with the same weights to the bit as if never stopped.
        callbacks: further ones.
        verbose: as in `fit`.

    Raises:
        ValueError: for no images, sizes or channels that are not the model's, labels that are no classes of it; those
            of a `tf.data.Dataset` raise TensorFlow's `InvalidArgumentError` when their turn comes. For a saved state
            of another model.
        Interrupted: after Ctrl-C or SIGTERM, when the state is saved.
    """
    directory = Path(directory)
    preprocessor = preprocessor or PREPROCESSOR
    count = epoch_steps(train, model.config, recipe)
    compile_image_classifier(model, recipe, count)
    averages = [] if recipe.ema is None else [keras.callbacks.SwapEMAWeights()]
    fit_resumably(
        model,
        lambda step: training_batches(train, model.config, preprocessor, recipe, start=step),
        validation_batches(validation, model.config, preprocessor, recipe.batch_size),
        directory,
        steps=recipe.epochs * count,
        epoch_steps=count,
        resume=resume,
        callbacks=[SaveWeights(directory), *averages, *(callbacks or [])],
        verbose=verbose,
    )


def predicted_classes(
    model: ImageModel, data: Any, *, preprocessor: ImagePreprocessor | None = None, batch_size: int = 64
) -> tuple[np.ndarray, np.ndarray]:
    """The labels of images, and the classes that a model takes them for: int `(N,)` each.

    Args:
        model: a classifier.
        data: as `train_image_classifier` takes it.
        preprocessor: that of the training.
        batch_size: of the calls.
    """
    batches = validation_batches(data, model.config, preprocessor or PREPROCESSOR, batch_size)
    labels = np.concatenate([np.argmax(labels, axis=-1) for _, labels in batches])
    logits = model.predict(batches.map(lambda images, _: images), verbose=0)
    return labels, np.argmax(logits, axis=-1)


class SaveWeights(keras.callbacks.Callback):
    """Saves the weights that validation saw, and those that it found best.

    Among the callbacks it stands before `SwapEMAWeights`, whose averages are in the model until it has its turn.

    Args:
        directory: where to; there also lies the table of the epochs before, where training was resumed.
        metric: of which the highest value is the best.
    """

    def __init__(self, directory: str | Path, metric: str = "accuracy"):
        super().__init__()
        self.directory, self.metric = Path(directory), metric

    def on_train_begin(self, logs=None):
        done = int(self.model.optimizer.iterations)
        rows = [row for row in read_table(self.directory / METRICS) if row["step"] <= done]
        self.best = max((row[f"val_{self.metric}"] for row in rows), default=float("-inf"))

    def on_test_end(self, logs=None):
        self._save(LAST)
        value = float((logs or {})[self.metric])
        if value > self.best:
            self.best = value
            self._save(BEST)

    def _save(self, name: str) -> None:
        with whole_file(self.directory / name) as partial:
            self.model.save_weights(partial)
