"""The linear map of all blocks."""

from __future__ import annotations

import keras

from keras_tx.layers.base import register
from keras_tx.ops.linear import is_row, row_product


@register
class Linear(keras.layers.Dense):
    """`keras.layers.Dense`, faster at a single row: when one sequence is decoded token by token."""

    def call(self, inputs, training=None):
        if not is_row(inputs):
            return super().call(inputs, training=training)
        x = row_product(inputs, self.kernel)
        x = x if self.bias is None else x + self.bias
        return x if self.activation is None else self.activation(x)
