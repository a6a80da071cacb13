"""The position-wise feed-forward network."""

from __future__ import annotations

import keras

from keras_tx.layers.core.base import Layer, register
from keras_tx.layers.core.dropout import Dropout
from keras_tx.layers.core.initializers import clone_initializer
from keras_tx.layers.core.linear import Linear
from keras_tx.ops.activations import get_activation
from keras_tx.ops.checks import require_positive, require_rate, require_width


@register
class FeedForward(Layer):
    """Two linear maps with an activation between (Vaswani et al. 2017, section 3.3), gated or not.

    Input and output: `(..., d_model)`.

    Args:
        d_model: width in and out.
        d_ff: width between.
        dropout: rate on the output.
        activation: a name in `keras_tx.ops.activations.ACTIVATIONS`.
        use_bias: whether the maps have biases.
        kernel_initializer: of both kernels.
        output_initializer: of the last kernel, if other.
        gated: whether the activation, of a linear map of its own, multiplies the first map's output (gated linear
            units, Shazeer 2020).
        activation_dropout: rate on what the last map is given.
        output_dtype: dtype of the last map and its output, if other than the layer's.

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
        gated: bool = False,
        activation_dropout: float = 0.0,
        output_dtype: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        require_positive(d_model=d_model, d_ff=d_ff)
        require_rate(dropout=dropout, activation_dropout=activation_dropout)
        self.d_model = d_model
        self.d_ff = d_ff
        self.dropout = dropout
        self.activation = activation
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.output_initializer = keras.initializers.get(output_initializer)
        self.gated = gated
        self.activation_dropout = activation_dropout
        self.output_dtype = output_dtype
        self.up = self._linear(d_ff, "up", self.kernel_initializer)
        self.gate = self._linear(d_ff, "gate", self.kernel_initializer) if gated else None
        self.activate = get_activation(activation)
        self.activation_drop = Dropout(activation_dropout, dtype=self.dtype_policy, name="activation_drop")
        last = self.output_initializer or self.kernel_initializer
        self.down = self._linear(d_model, "down", last, dtype=output_dtype)
        self.drop = Dropout(dropout, dtype=output_dtype or self.dtype_policy, name="drop")

    def _linear(self, units: int, name: str, initializer, dtype: str | None = None):
        options = {"use_bias": self.use_bias, "dtype": dtype or self.dtype_policy, "name": name}
        return Linear(units, kernel_initializer=clone_initializer(initializer), **options)

    def build(self, input_shape=None):
        for layer in (self.up, self.gate):
            if layer is not None:
                layer.build((None, self.d_model))
        self.down.build((None, self.d_ff))

    def call(self, x, training=None):
        require_width(x, self.d_model, "x")
        return self._through(x, training)

    def _through(self, x, training, *experts):
        """The network; `experts` is what its maps take beside their input."""
        y = self.up(x, *experts)
        y = self.activate(y) if self.gate is None else self.activate(self.gate(x, *experts)) * y
        return self.drop(self.down(self.activation_drop(y, training=training), *experts), training=training)

    def compute_output_shape(self, input_shape):
        return input_shape
