"""Metrics of language models, and their record."""

from __future__ import annotations

import csv
import math
import time
from pathlib import Path

import keras
from keras import ops

from keras_tx.files import whole_file
from keras_tx.layers.core.base import register
from keras_tx.ops.losses import IGNORED


@register
class BitsPerToken(keras.metrics.SparseCategoricalCrossentropy):
    """Cross-entropy of logits in bits a token: bits per character, where tokens are characters.

    The mean over all tokens seen, by their weights: exact over batches of any sizes. Times ln 2 it is nats.
    """

    def __init__(self, name: str = "bits", dtype=None):
        super().__init__(name=name, dtype=dtype, from_logits=True)

    def result(self):
        return super().result() / math.log(2)

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype}


@register
class LabelAccuracy(keras.metrics.Mean):
    """The share of labels that the highest logit names; labels of -100 do not count."""

    def __init__(self, name: str = "accuracy", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Takes labels `(...)` and logits `(..., V)`; `sample_weight` as of `Mean`, of the labels that count."""
        counts = ops.cast(ops.not_equal(y_true, IGNORED), self.dtype)
        right = ops.equal(ops.cast(ops.argmax(y_pred, axis=-1), y_true.dtype), y_true)
        return super().update_state(right, counts if sample_weight is None else counts * sample_weight)


class MetricsTable(keras.callbacks.Callback):
    """Writes a row of metrics for each epoch to a CSV file, which is whole at any moment.

    Args:
        path: of the file.
        start: the step training begins at; the rows that an earlier run wrote up to there are kept.
    """

    def __init__(self, path: str | Path, start: int = 0):
        super().__init__()
        self.path = Path(path)
        self.rows = [row for row in read_table(self.path) if row["step"] <= start] if start else []
        self.seconds = self.rows[-1]["seconds"] if self.rows else 0.0

    def on_train_begin(self, logs=None):
        self.last = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        now = time.perf_counter()
        self.seconds, self.last = self.seconds + now - self.last, now
        row = {"step": int(self.model.optimizer.iterations), "seconds": round(self.seconds, 3)}
        self.rows.append(row | {name: float(value) for name, value in (logs or {}).items()})
        with whole_file(self.path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(self.rows[-1]))
            writer.writeheader()
            writer.writerows(self.rows)


def read_table(path: str | Path) -> list[dict[str, float]]:
    """The rows of a table that `MetricsTable` wrote; none if there is no such file."""
    path = Path(path)
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {name: int(value) if name == "step" else float(value) for name, value in row.items()}
            for row in csv.DictReader(file)
        ]
