"""Keras's metrics of classes, over the labels that count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_tx.layers.core.base import register
from keras_tx.ops.losses import weighted

OF_CLASSES = {
    "sparse_categorical_accuracy": keras.metrics.SparseCategoricalAccuracy,
    "sparse_top_k_categorical_accuracy": keras.metrics.SparseTopKCategoricalAccuracy,
    "sparse_categorical_crossentropy": keras.metrics.SparseCategoricalCrossentropy,
}
"""Keras's metrics of labels that name one class each, by the names that `compile` knows them by."""
ACCURACY = ("accuracy", "acc")


@register
class Counted(keras.metrics.Metric):
    """A metric of Keras's over the labels that count: the others have no weight.

    Args:
        metric: of labels that name one class each, and logits.
        ignored: the labels that do not count.
    """

    def __init__(self, metric: keras.metrics.Metric, ignored: Sequence[int], **options: Any):
        super().__init__(name=metric.name)
        self.metric = metric
        self.ignored = tuple(ignored)

    def update_state(self, y_true, y_pred, sample_weight=None):
        labels = ops.convert_to_tensor(y_true)
        counts = ops.all(ops.stack([ops.not_equal(labels, label) for label in self.ignored]), axis=0)
        weights = weighted(ops.cast(counts, "float32"), sample_weight)
        self.metric.update_state(ops.where(counts, labels, ops.zeros_like(labels)), y_pred, sample_weight=weights)

    def result(self):
        return self.metric.result()

    def reset_state(self):
        self.metric.reset_state()

    def get_config(self):
        return {"metric": keras.saving.serialize_keras_object(self.metric), "ignored": self.ignored}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["metric"]), config["ignored"])


def counted(metrics: Any, ignored: Sequence[int], *, names_classes: bool) -> Any:
    """Metrics as `compile` takes them, those of classes over the labels that count.

    Args:
        metrics: a metric or its name, or any structure of them; None for none.
        ignored: the labels that do not count.
        names_classes: whether labels name one class each, so that "accuracy" is of classes.
    """
    if isinstance(metrics, dict):
        return {name: counted(of, ignored, names_classes=names_classes) for name, of in metrics.items()}
    if isinstance(metrics, (list, tuple)):
        return [counted(of, ignored, names_classes=names_classes) for of in metrics]
    if isinstance(metrics, str) and metrics in OF_CLASSES:
        metrics = OF_CLASSES[metrics](name=metrics)
    elif names_classes and metrics in ACCURACY:
        metrics = keras.metrics.SparseCategoricalAccuracy(name=metrics)
    return Counted(metrics, ignored) if isinstance(metrics, tuple(OF_CLASSES.values())) else metrics
