"""Batches of examples that fit in memory, anew in each epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_tx.ops.checks import require_positive

Augment = Callable[[Any, Any, tuple[int, int]], tuple[Any, Any]]


class ShuffledBatches(keras.utils.PyDataset):
    """Batches of one size in an order of each epoch's own.

    Every example comes once an epoch; the last batch is filled up with the epoch's first ones, so that training is
    compiled for one shape.

    Args:
        inputs: arrays by name, or nested otherwise, with as many rows each.
        labels: likewise.
        batch_size: rows a batch.
        sample_weight: likewise; None for none.
        seed: of the orders.
        augment: makes of a batch's inputs, its labels and two integers, which are a seed of the batch's own, the inputs
            and labels to train on.
    """

    def __init__(
        self,
        inputs: Any,
        labels: Any,
        batch_size: int,
        *,
        sample_weight: Any = None,
        seed: int = 0,
        augment: Augment | None = None,
    ):
        super().__init__()
        require_positive(batch_size=batch_size)
        self.arrays = (inputs, labels) if sample_weight is None else (inputs, labels, sample_weight)
        rows = {len(array) for array in keras.tree.flatten(self.arrays)}
        if len(rows) != 1 or not max(rows):
            raise ValueError(f"`inputs` and `labels` must have as many rows each, one or more; got {sorted(rows)}.")
        self.rows, self.batch_size, self.seed, self.epoch = rows.pop(), batch_size, seed, 0
        self.augment = augment

    def __len__(self) -> int:
        return -(-self.rows // self.batch_size)

    def __getitem__(self, index: int):
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.rows)
        batch = np.resize(order, len(self) * self.batch_size)[index * self.batch_size :][: self.batch_size]
        inputs, labels, *weights = keras.tree.map_structure(lambda array: array[batch], self.arrays)
        if self.augment is not None:
            inputs, labels = self.augment(inputs, labels, (self.seed, self.epoch * len(self) + index))
        return (inputs, labels, *weights)

    def on_epoch_end(self) -> None:
        self.epoch += 1


class EpochOfFit(keras.callbacks.Callback):
    """Gives batches the number of the epoch that `fit` begins, which is not 0 where it goes on with a training.

    Args:
        batches: what `fit` is given.
    """

    def __init__(self, batches: ShuffledBatches):
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.epoch = epoch
