"""Rotary position embeddings whose frequencies a checkpoint says."""

from __future__ import annotations

from keras_tx.layers.core.base import Layer, register
from keras_tx.ops.attention.rotary import Rotary, turns
from keras_tx.ops.fields import from_json


@register
class RotaryFrequencies(Layer):
    """Cosines and sines of positions, `(..., T)` to two of `(..., T, head_dim)`, float32.

    The frequencies are a weight, not trained: published models were trained with those that float16 has, which over a
    thousand positions turn half a radian more or less.

    Args:
        rotary: a `Rotary`, or its fields, which says the frequencies at the start.
        head_dim: width of the heads.
    """

    def __init__(self, rotary: Rotary | dict, head_dim: int, **kwargs):
        super().__init__(**kwargs)
        self.rotary: Rotary = from_json(rotary, Rotary)
        self.head_dim = head_dim

    def build(self, input_shape=None):
        values = self.rotary.inv_freq(self.head_dim)
        self.inv_freq = self.add_weight(
            shape=values.shape,
            initializer=lambda shape, dtype=None: values,
            dtype="float32",
            autocast=False,
            trainable=False,
            name="inv_freq",
        )

    def call(self, positions):
        return turns(positions, self.inv_freq)
