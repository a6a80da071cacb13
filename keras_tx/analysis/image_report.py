"""The report of a trained image classifier: curves, mistakes, and what it looks at."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from keras_tx.analysis.images import (
    attention_of,
    confusion_matrix,
    plot_confusion_matrix,
    plot_overlays,
    plot_position_similarity,
    position_similarity,
)
from keras_tx.analysis.plots import plot_metric
from keras_tx.models.core.classification import ImageClassifier
from keras_tx.models.vit.model import VisionTransformer
from keras_tx.training.metrics.tokens import read_table
from keras_tx.training.recipes.images import PREPROCESSOR, predicted_classes
from keras_tx.vision import ImagePreprocessor

SHOWN = 10
"""Images in the picture of the attention."""


def report_image_classifier(
    directory: str | Path,
    model: ImageClassifier,
    data: Any,
    label_names: Sequence[str],
    preprocessor: ImagePreprocessor | None = None,
) -> float:
    """Draws `loss.png`, `accuracy.png`, `confusion.png`, `attention.png` and, where there are any, `positions.png`.

    Args:
        directory: that `train_image_classifier` left its metrics in.
        model: as it was trained.
        data: images and labels to show and to count, as `train_image_classifier` takes them.
        label_names: of the classes.
        preprocessor: that of the training.

    Returns:
        The share of the images that the model knows.
    """
    directory = Path(directory)
    table = read_table(directory / "metrics.csv")
    plot_metric(directory / "loss.png", table, label="loss (nats)")
    plot_metric(directory / "accuracy.png", table, "accuracy", "share of images known")
    labels, predictions = predicted_classes(model, data, preprocessor=preprocessor)
    counts = confusion_matrix(labels, predictions, len(label_names))
    plot_confusion_matrix(directory / "confusion.png", counts, label_names)
    images = first_images(data, SHOWN)
    titles = [f"{label_names[i]}, taken for {label_names[j]}" for i, j in zip(labels, predictions, strict=True)]
    normalized = (preprocessor or PREPROCESSOR).normalize(images)
    maps, names = attention_of(model, normalized)
    plot_overlays(directory / "attention.png", images, maps, titles[: len(images)], names)
    if isinstance(model, VisionTransformer):
        plot_position_similarity(directory / "positions.png", position_similarity(model))
    return float(np.mean(labels == predictions))


def first_images(data: Any, count: int) -> np.ndarray:
    """The first images of arrays, or of a `tf.data.Dataset`: float32 `(B, H, W, C)`."""
    images = data[0][:count] if isinstance(data, tuple) else [image for image, _ in islice(iter(data), count)]
    return np.asarray([np.asarray(image) for image in images], "float32")
