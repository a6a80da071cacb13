"""The linear map of all blocks."""

from __future__ import annotations

import keras
from keras import ops

from keras_tx.layers.base import register
from keras_tx.ops.linear import is_row, row_product
from keras_tx.ops.primitives import is_portable


@register
class Linear(keras.layers.Dense):
    """`keras.layers.Dense`, faster at a single row: when one sequence is decoded token by token.

    In a portable graph it is one product, where Keras makes rows of the input and what it was of the output again: that
    LiteRT knows as a fully connected layer, whose weights it quantizes, and tf2onnx converts it as it is.
    """

    def call(self, inputs, training=None):
        if self.quantization_mode is None and is_portable():
            x = ops.matmul(inputs, self.kernel)
        elif is_row(inputs):
            x = row_product(inputs, self.kernel)
        else:
            return super().call(inputs, training=training)
        x = x if self.bias is None else x + self.bias
        return x if self.activation is None else self.activation(x)
