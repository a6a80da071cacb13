"""What `compile`, `fit` and `evaluate` do of a model whose head has labels, in all the ways that Keras takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_tx.models.core.base import Model
from keras_tx.models.core.counted import counted
from keras_tx.models.core.labels import class_table, labels_by_name, weights_by_name, weights_of_classes
from keras_tx.ops.checks import known_values
from keras_tx.ops.losses import IGNORED, weighted
from keras_tx.tensorflow import is_dataset, is_ragged


class FittedModel(Model):
    """A model that is trained on labels, each of which belongs to one of its logits."""

    head: Any
    _class_table: np.ndarray | None = None
    """The weights of classes in the `fit` that runs."""

    @property
    def targets(self) -> dict[str, str]:
        """The names of the logits, and of the labels that each is trained on."""
        raise NotImplementedError

    # === Names ===

    def labels_of(self, x, y) -> dict[str, Any]:
        """The labels by name, of `y` or among the inputs."""
        among = {name: x[name] for name in self.targets.values() if name in x} if isinstance(x, dict) else {}
        return {**among, **labels_by_name(y, self.targets)} if self.targets else {}

    def inputs_for_labels(self, x: dict[str, Any], labels: dict[str, Any]) -> dict[str, Any]:
        """What the model is called with to be compared with labels: the inputs, and what it needs of the labels."""
        return x

    def _by_name(self, batch, class_table: np.ndarray | None = None):
        """A batch of inputs, labels and weights as `fit` takes it, with the labels and weights by name."""
        x, y, weights = keras.utils.unpack_x_y_sample_weight(batch)
        if not self.targets:
            return batch
        x = self.given(x)
        labels = self.labels_of(x, y)
        x = x if isinstance(x, dict) else {self.main_input: x}
        x = self.inputs_for_labels({name: of for name, of in x.items() if name not in labels}, labels)
        weights = weights_by_name(weights, self.targets)
        if class_table is not None:
            for name, of in labels.items():
                by_class = weights_of_classes(class_table, self.head.classes_of(of))
                weights[name] = weighted(by_class, weights.get(name))
        return x, labels or None, weights or None

    # === Keras's own methods ===

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        **options: Any,
    ) -> None:
        """Configures training as `keras.Model.compile` does.

        Args:
            optimizer: as in Keras.
            loss: as in Keras, by the names of logits or labels where there are several; None for the head's own.
            loss_weights: as in Keras.
            metrics, weighted_metrics: as in Keras. Accuracy and the other metrics of classes pass over the labels that
                do not count.
            options: as in Keras.
        """
        metrics = self.compiled_metrics(metrics)
        loss, loss_weights = (self._alone(self._by_logits(of)) for of in (loss, loss_weights))
        metrics, weighted_metrics = map(self._by_logits, (metrics, weighted_metrics))
        if self.targets:
            ignored, names_classes = self.head.ignored_labels, self.head.names_classes
            metrics, weighted_metrics = (
                counted(of, ignored, names_classes=names_classes) for of in (metrics, weighted_metrics)
            )
        super().compile(optimizer, loss, loss_weights, metrics, weighted_metrics, **options)

    def compiled_metrics(self, metrics: Any) -> Any:
        """Returns those of the metrics given to `compile` that Keras takes."""
        return metrics

    def _by_logits(self, named):
        """What `compile` is given by name, by the names of the logits."""
        if not isinstance(named, dict):
            return named
        logits = {label: name for name, label in self.targets.items()}
        return {logits.get(name, name): of for name, of in named.items()}

    def _alone(self, named):
        """What `compile` is given by name without the name, where there is but one: so Keras sees predictions."""
        names = list(self.targets or self.output_keys)
        return named[names[0]] if isinstance(named, dict) and len(names) == 1 and list(named) == names else named

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(
        self,
        x=None,
        y=None,
        *arguments: Any,
        validation_data: Any = None,
        class_weight: Mapping[int, float] | None = None,
        **options: Any,
    ):
        """Trains the model as `keras.Model.fit` does.

        Args:
            x: the inputs, with the labels among them or not; a `tf.data.Dataset`, a generator, or what Keras takes.
            y: the labels, by name where there are several.
            arguments, options: as in Keras. With the head's own loss a weight multiplies the loss of its sample.
            validation_data: as in Keras.
            class_weight: the weight of each class, where the labels name one each.

        Raises:
            ValueError: for labels that no class has, as far as they can be looked at before the training.
        """
        x, y = self._seen(x, y)
        if isinstance(validation_data, (tuple, list)) and len(validation_data) > 1:
            validation_data = (*self._seen(*validation_data[:2]), *validation_data[2:])
        elif validation_data is not None:
            validation_data, _ = self._seen(validation_data, None)
        options["validation_data"] = validation_data
        if not self.targets:
            return super().fit(x, y, *arguments, class_weight=class_weight, **options)
        if class_weight and len(self.targets) > 1:
            raise ValueError(f"`class_weight` is for one kind of labels; there are {', '.join(self.targets.values())}.")
        self._weigh_classes(class_weight)
        return super().fit(x, y, *arguments, **options)

    def _weigh_classes(self, class_weight: Mapping[int, float] | None) -> None:
        table = class_table(class_weight) if class_weight else None
        if table is not None or self._class_table is not None:
            self.train_function = None  # which has the weights of the last `fit` in it
        self._class_table = table

    def evaluate(self, x=None, y=None, *arguments: Any, **options: Any):
        """Returns the loss and the metrics, as `keras.Model.evaluate` does."""
        if not options.get("_use_cached_eval_dataset"):  # the validation of `fit`, whose data have been seen
            x, y = self._seen(x, y)
        return super().evaluate(x, y, *arguments, **options)

    def predict(self, x, *arguments: Any, **options: Any):
        """Returns what the model gives, as `keras.Model.predict` does."""
        return super().predict(self._filled_up(x), *arguments, **options)

    def train_on_batch(self, x, y=None, *arguments: Any, class_weight=None, **options: Any):
        """Takes one step, as `keras.Model.train_on_batch` does."""
        x, y = self._seen(x, y, whole=False)
        if not self.targets:
            return super().train_on_batch(x, y, *arguments, class_weight=class_weight, **options)
        self._weigh_classes(class_weight)
        return super().train_on_batch(x, y, *arguments, **options)

    def test_on_batch(self, x, y=None, *arguments: Any, **options: Any):
        """Returns the loss and the metrics of one batch, as `keras.Model.test_on_batch` does."""
        return super().test_on_batch(*self._seen(x, y, whole=False), *arguments, **options)

    def train_step(self, *arguments):
        *state, batch = arguments
        return super().train_step(*state, self._by_name(batch, self._class_table))

    def test_step(self, *arguments):
        *state, batch = arguments
        return super().test_step(*state, self._by_name(batch))

    # === Checks ===

    def _seen(self, x, y, *, whole: bool = True) -> tuple[Any, Any]:
        """The data, of which the labels are looked at: now, or as the batches of a `tf.data.Dataset` come."""
        x = self._filled_up(x)
        if self.head is None:
            return x, y
        if is_dataset(x):
            return x.map(self._looked_at), y
        self.head.require_labels(_known(self._labels_to_check(x, y)), whole=whole)
        return x, y

    def _filled_up(self, x):
        """The data without ragged tensors, which cannot be compiled."""
        ragged = any(map(is_ragged, keras.tree.flatten(x.element_spec if is_dataset(x) else x)))
        if not ragged:
            return x
        return x.map(lambda *batch: self._filled_batch(batch)) if is_dataset(x) else self.given(x)

    def _filled_batch(self, batch):
        x, y, weights = keras.utils.unpack_x_y_sample_weight(batch)
        y = keras.tree.map_structure(lambda of: of.to_tensor(IGNORED) if is_ragged(of) else of, y)
        return keras.utils.pack_x_y_sample_weight(self.given(x), y, weights)

    def _labels_to_check(self, x, y) -> dict[str, Any]:
        return self.labels_of(x, y) if self.targets else labels_by_name(y, {"logits": "labels"})

    def _looked_at(self, *batch):
        import tensorflow as tf

        x, y, _ = keras.utils.unpack_x_y_sample_weight(batch)
        labels = self._labels_to_check(x, y)

        def look(*values):
            self.head.require_labels(dict(zip(labels, values, strict=True)), whole=False)

        tf.numpy_function(look, list(labels.values()), [])
        return batch if len(batch) > 1 else batch[0]


def _known(labels: dict[str, Any]) -> dict[str, np.ndarray]:
    """Those of the labels whose values are known now."""
    values = {name: known_values(of) for name, of in labels.items()}
    return {name: of for name, of in values.items() if of is not None}
