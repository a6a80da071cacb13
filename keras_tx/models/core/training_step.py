"""The step that `fit` takes, where TensorFlow's replicas ask for more than Keras gives."""

from __future__ import annotations

from typing import Any

import keras


class TrainingStep:
    """Begins on replicas of `tf.distribute` with the data as they are, and without them leaves no graph behind."""

    optimizer: keras.optimizers.Optimizer
    _distribute_strategy: Any

    def train_step(self, *arguments: Any) -> Any:
        step = super().train_step  # type: ignore[misc]
        if keras.backend.backend() != "tensorflow":
            return step(*arguments)
        import tensorflow as tf

        # An optimizer that scales losses insists on a replica.
        if tf.distribute.has_strategy() or isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            return step(*arguments)
        # On a replica Keras's optimizers sum the gradients over all, even of one, by a `tf.custom_gradient`, and for
        # that TensorFlow keeps the whole graph of the step, and the model with it, until the process ends.
        return tf.distribute.get_replica_context().merge_call(lambda strategy: step(*arguments))

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Builds what is not built yet of the first batch, of one replica.

        Keras averages it over the replicas, which turns ids into floats and fails where they have different shapes.
        """
        if self._distribute_strategy is not None and iterator is not None:
            _, _, batches = next(iter(iterator))
            first = self._distribute_strategy.experimental_local_results
            iterator, data_batch = None, keras.tree.map_structure(lambda x: first(x)[0], next(batches))
        super()._maybe_symbolic_build(iterator, data_batch)  # type: ignore[misc]
