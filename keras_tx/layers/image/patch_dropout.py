"""Dropout of whole patches."""

from __future__ import annotations

import keras
from keras import ops

from keras_tx.layers.core.base import Layer, register
from keras_tx.ops.checks import require_rank, require_rate


@register
class PatchDropout(Layer):
    """Keeps a random part of each image's patches in training (Liu et al. 2022, section 3.1).

    Input: `(B, N, D)`. Output: `(B, K, D)`; in training, K = max(1, floor(N * (1 - rate))) patches, in random order.

    Raises:
        ValueError: if `rate` is outside [0, 1); at call, for another rank.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        require_rate(rate=rate)
        self.rate = rate
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def build(self, input_shape=None):
        """Nothing to make: the seed generator is the only state."""

    def call(self, x, training=None):
        require_rank(x, 3, "x", "(batch, patches, width)")
        if not training or not self.rate:
            return x
        batch, count, _ = ops.shape(x)
        noise = keras.random.uniform((batch, count), seed=self.seed_generator)
        return keep_lowest(x, noise, part_of(count, 1 - self.rate))[0]

    def compute_output_shape(self, input_shape):
        return input_shape


def part_of(count, part: float):
    """Returns a part of so many, rounded down but at least 1; a tensor where their number is one."""
    if isinstance(count, int):
        return max(1, int(count * part))
    return ops.maximum(1, ops.cast(ops.cast(count, "float32") * part, "int32"))


def keep_lowest(x, noise, count):
    """Returns the vectors of each image with the lowest noise.

    Args:
        x: `(B, N, D)`.
        noise: `(B, N)`.
        count: how many of the N are kept.

    Returns:
        Those kept, `(B, count, D)`, lowest noise first; and the rank of each vector's noise, int32 `(B, N)`: those
        below `count` were kept.
    """
    order = ops.argsort(noise, axis=1)
    kept = ops.take_along_axis(x, ops.expand_dims(order[:, :count], -1), axis=1)
    return kept, ops.cast(ops.argsort(order, axis=1), "int32")
