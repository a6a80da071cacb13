"""The position-wise feed-forward network."""

from __future__ import annotations

import keras

from keras_tx.layers.base import Layer, register
from keras_tx.layers.dropout import Dropout
from keras_tx.layers.linear import Linear
from keras_tx.ops.activations import get_activation
from keras_tx.ops.checks import require_positive, require_rate, require_width


@register
class FeedForward(Layer):
    """Two linear maps with an activation between (Vaswani et al. 2017, section 3.3).

    Input and output: `(..., d_model)`.

    Args:
        d_model: width in and out.
        d_ff: width between.
        dropout: rate on the output.
        activation: a name in `keras_tx.ops.activations.ACTIVATIONS`.
        use_bias: whether the maps have biases.
        kernel_initializer: of both kernels.
        output_initializer: of the second kernel, if other.

    Raises:
        ValueError: for widths less than 1, an unknown activation, a rate outside [0, 1); at call, another width.
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        dropout: float = 0.0,
        activation: str = "relu",
        *,
        use_bias: bool = True,
        kernel_initializer="glorot_uniform",
        output_initializer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_positive(d_model=d_model, d_ff=d_ff)
        require_rate(dropout=dropout)
        self.d_model = d_model
        self.d_ff = d_ff
        self.dropout = dropout
        self.activation = activation
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.output_initializer = keras.initializers.get(output_initializer)
        common = {"use_bias": use_bias, "dtype": self.dtype_policy}
        self.up = Linear(d_ff, kernel_initializer=clone(self.kernel_initializer), name="up", **common)
        self.activate = get_activation(activation)
        last = self.output_initializer or self.kernel_initializer
        self.down = Linear(d_model, kernel_initializer=clone(last), name="down", **common)
        self.drop = Dropout(dropout, dtype=self.dtype_policy, name="drop")

    def build(self, input_shape=None):
        self.up.build((None, self.d_model))
        self.down.build((None, self.d_ff))

    def call(self, x, training=None):
        require_width(x, self.d_model, "x")
        return self.drop(self.down(self.activate(self.up(x))), training=training)

    def compute_output_shape(self, input_shape):
        return input_shape


def clone(initializer):
    """A copy that draws other numbers: one unseeded initializer gives every weight the same values."""
    return initializer.clone() if hasattr(initializer, "clone") else initializer
