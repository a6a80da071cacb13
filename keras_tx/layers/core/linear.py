"""The linear map of all blocks."""

from __future__ import annotations

import keras
from keras import ops

from keras_tx.layers.core.base import register
from keras_tx.ops.linear import is_row, row_product
from keras_tx.ops.primitives import is_converted


@register
class Linear(keras.layers.Dense):
    """`keras.layers.Dense`, faster at a single row: when one sequence is decoded token by token.

    In a graph to be converted it is one product, where Keras makes rows of the input and what it was of the output
    again: TensorFlow is faster at the latter, but tf2onnx confuses its shapes.
    """

    def call(self, inputs, training=None):
        if self.quantization_mode is not None:
            return super().call(inputs, training=training)
        if is_converted() and len(inputs.shape) == 3:
            x = ops.einsum("bti,io->bto", inputs, self.kernel)
        elif is_row(inputs) and not is_converted():
            x = row_product(inputs, self.kernel)
        else:
            return super().call(inputs, training=training)
        x = x if self.bias is None else x + self.bias
        return x if self.activation is None else self.activation(x)

    def quantize(self, mode=None, type_check=True, config=None):
        super().quantize(mode, type_check=False, config=config)  # it is a `Dense`, which a subclass need not be
