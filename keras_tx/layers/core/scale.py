"""Learned scales of residual branches."""

from __future__ import annotations

import keras

from keras_tx.layers.core.base import Layer, register
from keras_tx.ops.checks import require_positive, require_width


@register
class LayerScale(Layer):
    """Multiplies each channel by a weight (Touvron et al. 2021, section 2).

    Input and output: `(..., dim)`.

    Args:
        dim: channels.
        initial: what each is multiplied by at the start.

    Raises:
        ValueError: for a width less than 1; at call, for another width.
    """

    def __init__(self, dim: int, initial: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        require_positive(dim=dim)
        self.dim = dim
        self.initial = initial

    def build(self, input_shape=None):
        self.gamma = self.add_weight(
            shape=(self.dim,), initializer=keras.initializers.Constant(self.initial), name="gamma"
        )

    def call(self, x):
        require_width(x, self.dim, "x")
        return x * keras.ops.cast(self.gamma, x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape
