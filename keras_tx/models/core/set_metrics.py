"""Metrics of all predictions together, which no compiled step can keep: `evaluate` takes them in a second pass."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import keras
import numpy as np

from keras_tx.models.core.fitting import FittedModel
from keras_tx.tensorflow import is_dataset


class SetMetric:
    """A metric that works outside of graphs, on the labels and outputs of one batch after another."""

    def reset_state(self) -> None:
        """Forgets what has been seen."""
        raise NotImplementedError

    def update_state(self, y_true: Any, y_pred: Any) -> None:
        """Takes labels and outputs of a batch, both by name."""
        raise NotImplementedError

    def result(self) -> dict[str, float]:
        """Returns the metrics by name, of all batches since the last reset."""
        raise NotImplementedError


class EvaluatedInSets(FittedModel):
    """A model that `compile` may be given metrics of sets for, which are in what `evaluate` and a validation give."""

    _set_metrics: tuple[SetMetric, ...] = ()

    def compiled_metrics(self, metrics: Any) -> Any:
        given = list(metrics or ())
        self._set_metrics = tuple(metric for metric in given if isinstance(metric, SetMetric))
        return [metric for metric in given if not isinstance(metric, SetMetric)] if self._set_metrics else metrics

    def evaluate(self, x=None, y=None, batch_size=None, *arguments, return_dict: bool = False, **options):
        """Returns the loss and the metrics as `keras.Model.evaluate` does, those of sets among them."""
        if not self._set_metrics:
            return super().evaluate(x, y, batch_size, *arguments, return_dict=return_dict, **options)
        found = super().evaluate(x, y, batch_size, *arguments, return_dict=True, **options)
        for metric in self._set_metrics:
            metric.reset_state()
        for inputs, labels in islice(self._batches(x, y, batch_size or 32), options.get("steps")):
            outputs = self.predict_on_batch(inputs)
            for metric in self._set_metrics:
                metric.update_state(labels, outputs)
        for metric in self._set_metrics:
            found |= metric.result()
        return found if return_dict else list(found.values())

    def _batches(self, x, y, batch_size: int) -> Iterator[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
        """The inputs and labels by name of one batch after another."""
        if isinstance(x, Iterator):
            names = ", ".join(type(metric).__name__ for metric in self._set_metrics)
            raise ValueError(f"{names} takes a second pass over the data: give arrays, a dataset or a `PyDataset`.")
        if is_dataset(x):
            batches: Any = map(keras.utils.unpack_x_y_sample_weight, x)
        elif isinstance(x, keras.utils.PyDataset):
            batches = (keras.utils.unpack_x_y_sample_weight(x[i]) for i in range(len(x)))
        else:
            rows = len(keras.tree.flatten(x)[0])
            places = (slice(start, start + batch_size) for start in range(0, rows, batch_size))
            batches = ((_rows(x, place), _rows(y, place), None) for place in places)
        for inputs, labels, _ in batches:
            by_name = inputs if isinstance(inputs, dict) else {self.main_input: inputs}
            found = keras.tree.map_structure(np.asarray, self.labels_of(by_name, labels))
            yield {name: np.asarray(of) for name, of in by_name.items() if name not in found}, found


def _rows(arrays: Any, place: slice) -> Any:
    return keras.tree.map_structure(lambda of: None if of is None else of[place], arrays)
