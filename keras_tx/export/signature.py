"""A signature of an artifact: a function of named tensors, and how it is traced."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np

from keras_tx.ops.primitives import portable_graph

Integers = Literal["int32", "int64"]


@dataclass(frozen=True)
class Signature:
    """A function of named tensors, to be run as it is or traced.

    Attributes:
        function: takes the inputs by name and gives a dict of tensors, all with the batch first.
        inputs: the `tf.TensorSpec` of each.
        sample: makes random inputs, of a random generator, a number of rows and a number of tokens in a row.
        defaults: the values of inputs that may be left out. TensorFlow Serving fills them in.
        xla: whether the graph may have operations that only XLA runs.
        slow: whether an answer takes so long that one request is enough for a check.
        drawn: whether an answer is drawn anew each time, so that only its shape can be checked.
        slots: for a step of generation, the positions that its cache has room for; None for any number.
    """

    function: Callable[..., dict[str, Any]]
    inputs: Mapping[str, Any]
    sample: Callable[[np.random.Generator, int, int], dict[str, np.ndarray]]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    xla: bool = False
    slow: bool = False
    drawn: bool = False
    slots: int | None = None

    def __call__(self, **inputs) -> dict[str, Any]:
        return self.function(**{**self.defaults, **inputs})

    def with_integers(self, dtype: str) -> Signature:
        """This signature with inputs of integers in a dtype: int32, or int64, as NumPy's and tokenizers' are."""
        import tensorflow as tf

        if dtype not in get_args(Integers):
            raise ValueError(f"`integers` must be one of {', '.join(get_args(Integers))}; got {dtype!r}.")

        def call(**inputs):
            return self.function(**{name: tf.cast(x, self.inputs[name].dtype) for name, x in inputs.items()})

        def sample(rng: np.random.Generator, rows: int, length: int) -> dict[str, np.ndarray]:
            given = self.sample(rng, rows, length)
            return {name: x.astype(specs[name].dtype.as_numpy_dtype) for name, x in given.items()}

        specs = {
            name: tf.TensorSpec(spec.shape, dtype if spec.dtype.is_integer else spec.dtype)
            for name, spec in self.inputs.items()
        }
        return self if dtype == "int32" else replace(self, function=call, inputs=specs, sample=sample)

    def traced(self):
        """A `tf.function` with one graph, whose parameters are the inputs in order."""
        import tensorflow as tf

        parameter = inspect.Parameter
        parameters = [
            parameter(name, parameter.POSITIONAL_OR_KEYWORD, default=self.defaults.get(name, parameter.empty))
            for name in self.inputs
        ]

        def call(*args, **kwargs):
            return self.function(**dict(zip(self.inputs, args, strict=False)), **kwargs)

        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        specs = [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in self.inputs.items()]
        function = tf.function(call, input_signature=specs, autograph=False)
        if self.xla:
            function.get_concrete_function()
        else:
            with portable_graph():
                function.get_concrete_function()
        return function


def strings(*axes: int | None):
    """The spec of a string tensor; `(B,)` unless told otherwise."""
    import tensorflow as tf

    return tf.TensorSpec(axes or (None,), tf.string)


def after(checks: Iterable[Any], x):
    """The tensor, computed only after the checks have passed, so that nothing large begins before."""
    import tensorflow as tf

    with tf.control_dependencies([check for check in checks if check is not None]):  # None when run eagerly
        return tf.identity(x)


def by_row(values, rows, count, default):
    """Values `(N, ...)`, each of a row, in ascending order, as a tensor `(count, longest row, ...)`."""
    import tensorflow as tf

    ragged = tf.RaggedTensor.from_value_rowids(values, tf.cast(rows, tf.int64), tf.cast(count, tf.int64))
    return ragged.to_tensor(default)
