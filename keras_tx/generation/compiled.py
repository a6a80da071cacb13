"""XLA compilation of a function that reads models' weights, on each backend that has it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import keras


def compilation_cache(directory: str | Path) -> None:
    """Keeps what XLA compiles in a directory, so that the next process finds it there and need not compile it.

    What it finds fits the same model, versions and kind of machine. On TensorFlow it has to be called before the first
    operation runs, which making a model is, and before `tf.config` is asked for devices. Other backends than TensorFlow
    and JAX compile nothing.

    Args:
        directory: made if there is none.

    Raises:
        RuntimeError: on TensorFlow, if it has looked at its devices.
        ValueError: on another backend, and on TensorFlow for a path with a blank in it.
    """
    directory = Path(directory).resolve()
    backend = keras.backend.backend()
    if backend == "jax":
        import jax
        from jax.experimental.compilation_cache import compilation_cache as cache

        directory.mkdir(parents=True, exist_ok=True)
        jax.config.update("jax_compilation_cache_dir", str(directory))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
        cache.reset_cache()  # one that is in use keeps its directory
    elif backend == "tensorflow":
        if _has_begun():
            raise RuntimeError(
                "TensorFlow has looked at its devices already, and takes no `compilation_cache` any more: call it at "
                "the start of the program, before a model is made and before `tf.config` is asked."
            )
        if " " in str(directory):
            raise ValueError(f"TensorFlow takes no `directory` with a blank in it; got {str(directory)!r}.")
        directory.mkdir(parents=True, exist_ok=True)
        flags = f"{os.environ.get('TF_XLA_FLAGS', '')} --tf_xla_persistent_cache_directory={directory}"
        os.environ["TF_XLA_FLAGS"] = flags.strip()
    else:
        raise ValueError(f"the {backend} backend compiles nothing that a `compilation_cache` could keep.")


def _has_begun() -> bool:
    """Whether TensorFlow has looked at its devices, by an operation or a setting, and has read its flags with that."""
    from tensorflow.python.eager import context  # nothing public tells without looking at the devices

    return context.context_safe() is not None


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
