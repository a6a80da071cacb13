"""What several test files need: definitions in NumPy, gradients on any backend, fresh processes, counts."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

import keras_tx

PACKAGE = Path(keras_tx.__file__).parent


def attend(query, key, value, *, mask=None, bias=0.0, scale=None, soft_cap=None) -> tuple[np.ndarray, np.ndarray]:
    """Softmax attention by its definition, in float64: the output and the weights."""
    query, key, value = (np.asarray(x, "float64") for x in (query, key, value))
    key, value = (np.repeat(x, query.shape[1] // x.shape[1], axis=1) for x in (key, value))
    scores = np.einsum("bhtd,bhsd->bhts", query, key) * (query.shape[-1] ** -0.5 if scale is None else scale)
    scores = (soft_cap * np.tanh(scores / soft_cap) if soft_cap else scores) + bias
    seen = scores if mask is None else np.where(mask, scores, -1e30)
    exponentials = np.exp(seen - seen.max(axis=-1, keepdims=True)) * (1.0 if mask is None else mask)
    total = exponentials.sum(axis=-1, keepdims=True)
    weights = np.divide(exponentials, total, out=np.zeros_like(exponentials), where=total > 0)
    return np.einsum("bhts,bhsd->bhtd", weights, value), weights


def softmax(x: np.ndarray) -> np.ndarray:
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def layer_norm(x: np.ndarray, gamma=1.0, beta=0.0, epsilon: float = 1e-5) -> np.ndarray:
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + epsilon) * gamma + beta


def rotate(x: np.ndarray, positions: np.ndarray, base: float = 10000.0) -> np.ndarray:
    """Channels (i, i + D/2) of `(..., T, D)` as complex numbers, turned by position / base**(2i/D)."""
    half = x.shape[-1] // 2
    turns = np.exp(1j * positions[..., None] * base ** (-np.arange(half) / half))
    turned = (x[..., :half] + 1j * x[..., half:]) * turns
    return np.concatenate([turned.real, turned.imag], axis=-1)


gelu = np.vectorize(lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))))


def dense(layer: keras.layers.Dense, x: np.ndarray) -> np.ndarray:
    y = x @ numpy(layer.kernel).astype("float64")
    return y + numpy(layer.bias) if layer.use_bias else y


def numpy(x) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.convert_to_tensor(x)))


def normal(rng: np.random.Generator, *shape: int, dtype: str = "float32") -> np.ndarray:
    return rng.normal(size=shape).astype(dtype)


def gradients(function: Callable, *arrays: np.ndarray) -> list[np.ndarray]:
    """Of a scalar function of arrays, on whichever backend runs; zeros for an array that it does not depend on."""
    tensors = [ops.convert_to_tensor(x) for x in arrays]
    if keras.backend.backend() == "jax":
        import jax

        return [numpy(x) for x in jax.grad(function, argnums=tuple(range(len(tensors))))(*tensors)]
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(tensors)
        y = function(*tensors)
    return [numpy(x) for x in tape.gradient(y, tensors, unconnected_gradients="zero")]


def assert_layer_is(layer: keras.layers.Layer, definition: Callable, *arrays: np.ndarray, **options) -> None:
    """Output and gradients, of the sum of its sines, by arrays and weights, are those of a definition in float64.

    Args:
        layer: built, and called with `arrays` and `options`.
        definition: in `jax.numpy`, of the weights by their paths below the layer's, and the arrays.
    """
    import jax

    weights = {weight.path.split("/", 1)[1]: numpy(weight) for weight in layer.trainable_weights}
    fixed = [numpy(weight) for weight in layer.non_trainable_variables]
    count, given = len(arrays), [*arrays, *weights.values()]

    def defined(*given):
        return definition(dict(zip(weights, given[count:], strict=True)), *given[:count])

    def found(*given):
        return layer.stateless_call(given[count:], fixed, *given[:count], **options)[0]

    with jax.enable_x64(True):
        value, slopes = _value_and_gradients(defined, jax.numpy.sin, [x.astype("float64") for x in given])
    if keras.backend.backend() == "jax":
        output, ours = _value_and_gradients(found, jax.numpy.sin, given)
    else:
        output, ours = found(*given), gradients(lambda *x: ops.sum(ops.sin(found(*x))), *given)
    np.testing.assert_allclose(output, value, atol=2e-5)
    names = [*(f"array {i}" for i in range(count)), *weights]
    for name, have, want in zip(names, ours, slopes, strict=True):
        np.testing.assert_allclose(have, want, atol=2e-4, err_msg=name)


def _value_and_gradients(function: Callable, of: Callable, arrays: list[np.ndarray]):
    """`function`, and the gradients of the sum of `of` what it gives, by JAX; quick to compile, not to run."""
    import jax

    def both(*given):
        value, pull = jax.vjp(function, *given)
        return value, pull(jax.grad(lambda y: of(y).sum())(value))

    return jax.jit(both, compiler_options={"xla_backend_optimization_level": 0})(*arrays)


def compiled(function: Callable) -> Callable:
    """`function` under XLA."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function, jit_compile=True)


def count_parameters(build: Callable[[], keras.Model]) -> int:
    """Parameters of a model too large for the machine: in this scope variables have shapes, and no values."""
    try:
        with keras.StatelessScope(initialize_variables=False):
            return sum(math.prod(weight.shape) for weight in build().trainable_weights)
    finally:
        keras.utils.clear_session(free_memory=False)  # which would take long; it forgets variables yet to be filled


def tiny_for(entry, format: str):
    """The first tiny config of a registered model that this format can hold; the native format holds all."""
    families = entry.cls.formats.get(format, ())
    held = (config for config in entry.tiny if any(not family.differences(config.to_dict()) for family in families))
    return entry.tiny[0] if format == "keras_tx" else next(held)


def run_python(*arguments: str, backend: str | None = None) -> str:
    """What a fresh interpreter prints."""
    environment = {**os.environ, "KERAS_BACKEND": backend or keras.backend.backend()}
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False)
    assert not done.returncode, done.stderr
    return done.stdout


def randomize(layer: keras.layers.Layer, rng: np.random.Generator, scale: float = 0.5) -> keras.layers.Layer:
    """Gives every weight, biases too, numbers that leave their mark on the output; `scale` is that of matrices."""
    for weight in layer.trainable_weights:
        weight.assign(_telling(weight, rng, scale))
    return layer


def made_random(make: Callable[[], keras.Model], rng: np.random.Generator, scale: float = 0.5) -> keras.Model:
    """A model made with such numbers: on JAX, which compiles an initializer for each shape, in a tenth of the time."""
    with keras.StatelessScope():  # weights get their first values when it ends
        model = make()
        for weight in model.trainable_weights:
            values = _telling(weight, rng, scale)
            weight._initializer = lambda shape, dtype, values=values: ops.convert_to_tensor(values, dtype)
    return model


def _telling(weight: keras.Variable, rng: np.random.Generator, scale: float) -> np.ndarray:
    values = normal(rng, *weight.shape)
    return scale * values if len(weight.shape) > 1 else (weight.name in ("gamma", "scale")) + 0.1 * values


def long_after(count: int, values: Iterable) -> list:
    """Values as a test's parameters; those after the first few are long ones, which add little to them."""
    as_tuples = [value if isinstance(value, tuple) else (value,) for value in values]
    return [pytest.param(*x, marks=[pytest.mark.slow] if i >= count else []) for i, x in enumerate(as_tuples)]
