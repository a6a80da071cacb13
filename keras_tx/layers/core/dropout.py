"""Dropout of elements, and of whole residual branches."""

from __future__ import annotations

import keras
from keras import ops

from keras_tx.layers.core.base import Layer, register
from keras_tx.ops.checks import require_rate
from keras_tx.ops.dropout import dropout


@register
class Dropout(Layer):
    """Keras's `Dropout` at half the random numbers (`ops.dropout`).

    Input and output: floating point of any shape.

    Raises:
        ValueError: if `rate` is outside [0, 1).
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        require_rate(rate=rate)
        self.rate = rate
        self.seed = seed
        if rate:
            self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def build(self, input_shape=None):
        """Nothing to make: the seed generator is the only state."""

    def call(self, x, training=None):
        return dropout(x, self.rate, self.seed_generator) if training and self.rate else x

    def compute_output_shape(self, input_shape):
        return input_shape


@register
class DropPath(Layer):
    """Drops a residual branch for whole samples (stochastic depth, Huang et al. 2016).

    In training each sample's branch is zeroed with probability `rate` and scaled by 1 / (1 - rate) otherwise.
    Input and output: `(B, ...)`, floating point.

    Raises:
        ValueError: if `rate` is outside [0, 1).
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        require_rate(rate=rate)
        self.rate = rate
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def build(self, input_shape=None):
        """Nothing to make: the seed generator is the only state."""

    def call(self, x, training=None):
        if not training or not self.rate:
            return x
        per_sample = (ops.shape(x)[0], *(1 for _ in x.shape[1:]))
        return keras.random.dropout(x, self.rate, noise_shape=per_sample, seed=self.seed_generator)

    def compute_output_shape(self, input_shape):
        return input_shape
