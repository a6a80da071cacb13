"""A small training run of images with all that is random switched on. As a program it trains until it kills itself.

python tests/small_image_run.py DIRECTORY MOMENT STEPS, as `small_run.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
from small_run import MOMENTS

from keras_tx.models import VisionTransformer
from keras_tx.training.recipes.images import ImageRecipe, train_image_classifier
from keras_tx.vision import Augmentation

RECIPE = ImageRecipe(
    epochs=4,
    batch_size=8,
    learning_rate=1e-2,
    label_smoothing=0.1,
    ema=0.8,
    augmentation=Augmentation(translation=0.2, mixup=0.5, cutmix=0.5, erasing=0.3, rand_augment=0.3),
)


def small_images() -> tuple[tuple, tuple]:
    """Images of three levels of grey, to train on and to validate on."""
    labels = np.arange(37) % 3
    images = np.random.default_rng(7).uniform(0, 80, (37, 4, 6, 1)) + 80 * labels[:, None, None, None]
    return (images[:29].astype("float32"), labels[:29]), (images[29:].astype("uint8"), labels[29:])


def small_model() -> VisionTransformer:
    keras.utils.set_random_seed(3)
    sizes = {"image_size": (4, 6), "patch_size": 2, "channels": 1, "num_layers": 1, "num_heads": 2, "d_model": 10}
    rates = {"drop_path": 0.3, "dropout": 0.1, "attention_dropout": 0.1, "patch_dropout": 0.2}
    return VisionTransformer(num_classes=3, d_ff=14, initializer_range=0.1, **sizes, **rates)


def train(directory: Path, *, resume: bool = False, callbacks=()) -> VisionTransformer:
    model = small_model()
    train_image_classifier(
        model, *small_images(), RECIPE, directory, resume=resume, callbacks=list(callbacks), verbose=0
    )
    return model


if __name__ == "__main__":
    train(Path(sys.argv[1]), resume=True, callbacks=[MOMENTS[sys.argv[2]](int(sys.argv[3]))])
