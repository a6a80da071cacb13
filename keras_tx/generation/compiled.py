"""XLA compilation of a function that reads models' weights, on each backend that has it."""

from __future__ import annotations

from collections.abc import Callable

import keras


class Compiled:
    """`function(*arrays)` compiled once for each set of shapes, dtypes and structures of its arguments.

    The weights are read as they stand at each call. On the torch backend the function runs as it is.

    Args:
        function: takes and returns nested structures of arrays; it must not change the models.
        models: the models whose weights it reads.

    Attributes:
        traces: how often the function has been traced.
    """

    def __init__(self, function: Callable, *models: keras.Model):
        self.function = function
        self.models = models
        self.traces = 0
        self._call = {"tensorflow": self._tensorflow, "jax": self._jax}.get(keras.backend.backend(), self._eager)()

    def __call__(self, *arguments):
        return self._call(*arguments)

    def _traced(self, *arguments):
        self.traces += 1
        return self.function(*arguments)

    def _tensorflow(self):
        import tensorflow as tf

        return tf.function(self._traced, jit_compile=True)

    def _jax(self):
        import jax

        def stateless(weights, *arguments):
            with keras.StatelessScope(state_mapping=list(zip(self._variables(), weights, strict=True))):
                return self._traced(*arguments)

        compiled = jax.jit(stateless)
        return lambda *arguments: compiled([variable.value for variable in self._variables()], *arguments)

    def _variables(self):
        return [variable for model in self.models for variable in model.variables]

    def _eager(self):
        return self._traced
