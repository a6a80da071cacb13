"""What tests of Swin Transformers share."""

from __future__ import annotations

import keras
from helpers import compiled


def run(model: keras.Model, given, **asked):
    """The model's outputs; compiled on JAX, which otherwise compiles each operation at each shape by itself."""

    def call(inputs):
        return model(inputs, **asked)

    return compiled(call)(given) if keras.backend.backend() == "jax" else call(given)
