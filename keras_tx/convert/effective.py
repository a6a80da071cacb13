"""The weights that a model computes with, which what was put on its layers may make others than its variables."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np

from keras_tx.convert.account import over_layers

Source = tuple[tuple[int, ...], Callable[[], np.ndarray]]
"""A tensor to be written: its shape, and a function that gives its float32 values."""


def effective_weights(model: keras.Model, variables: Mapping[str, keras.Variable]) -> dict[str, Source]:
    """Returns the effective weights of a model by path: its variables, those under a LoRA with it merged in.

    Args:
        model: the model.
        variables: its variables by path.

    Raises:
        ValueError: for a quantized model, whose variables are no numbers that it multiplies with.
    """
    paths = {id(variable): path for path, variable in variables.items()}
    layers = model._flatten_layers()  # all of them, parts of parts too, which Keras has no public way to list
    found = {path: _source(variable.shape, variable) for path, variable in variables.items()}
    quantized = []
    for layer in layers:
        own = {paths[id(x)]: x for x in vars(layer).values() if id(x) in paths}
        if own and getattr(layer, "quantization_mode", None):
            quantized.append(next(iter(own)).rpartition("/")[0])
        elif getattr(layer, "lora_enabled", False):
            for path in own:
                part = path.rpartition("/")[2]
                if part.startswith("lora_"):
                    del found[path]
                elif hasattr(layer, f"lora_{part}_a"):
                    found[path] = (tuple(own[path].shape), partial(_merged, layer, part, own[path]))
        else:
            for path, variable in own.items():
                value = _computed(layer, variable)
                if value is not variable:
                    found[path] = _source(value.shape, value)
    if quantized:
        raise ValueError(
            f"a checkpoint holds no quantized weights, and {', '.join(over_layers(quantized))} are quantized: save the "
            "model before `quantize`, and quantize what `from_pretrained` gives."
        )
    return found


def _source(shape, value) -> Source:
    return tuple(shape), partial(_float32, value)


def _float32(value) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(value), "float32")


def _merged(layer: Any, part: str, variable: keras.Variable) -> np.ndarray:
    """Returns a kernel or a table with its LoRA (Hu et al. 2021), in float32 whatever the layer computes in."""
    down, up = (_float32(getattr(layer, f"lora_{part}_{letter}")) for letter in "ab")
    return _float32(variable) + np.float32(layer.lora_alpha / layer.lora_rank) * (down @ up)


def _computed(layer: keras.Layer, variable: keras.Variable):
    """Returns the value that a layer uses for its variable: of the property of that name, where its class has one."""
    if not isinstance(inspect.getattr_static(layer, variable.name, None), property):
        return variable
    value = getattr(layer, variable.name)
    return value if getattr(value, "shape", None) == variable.shape else variable
