"""The block of DeBERTa-v2 that has a convolution beside it."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_tx.layers import TransformerBlock
from keras_tx.layers.core.base import register
from keras_tx.ops.activations import get_activation


@register
class ConvolutionBlock(TransformerBlock):
    """A `TransformerBlock`, to whose output a convolution of its input is added (He et al. 2020, appendix A.5).

    The sum is normalized; at padding, which the convolution would see, it is zeros.

    Args:
        d_model, num_heads, d_ff, dropout, options: as `TransformerBlock` takes them.
        conv_kernel_size: tokens that the convolution sees at once, an odd number.
        conv_activation: after it, by name.

    Raises:
        ValueError: as `TransformerBlock` does.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int | None = None,
        dropout: float = 0.0,
        *,
        conv_kernel_size: int = 3,
        conv_activation: str = "tanh",
        **options: Any,
    ):
        super().__init__(d_model, num_heads, d_ff, dropout, **options)
        self._hand_on(options)
        self.conv_kernel_size = conv_kernel_size
        self.conv_activation = conv_activation
        self.activate = get_activation(conv_activation)
        self.convolution = keras.layers.Conv1D(
            d_model,
            conv_kernel_size,
            padding="same",
            kernel_initializer=self.kernel_initializer,
            dtype=self.dtype_policy,
            name="convolution",
        )
        self.convolution_norm = self._norm("convolution_norm")

    def build(self, input_shape=None):
        super().build(input_shape)
        shape = (None, None, self.d_model)
        self.convolution.build(shape)
        self.convolution_norm.build(shape)

    def call(  # type: ignore[override]  # an encoder's block alone
        self,
        x,
        attention_mask=None,
        attention_inputs=None,
        return_attention: bool = False,
        training=None,
        **others: Any,
    ):
        """Returns what a `TransformerBlock` does, and takes what it takes.

        Args:
            x: `(B, T, d_model)`, zeros at padding.
            attention_mask: `(B, T)`, 0 at padding; or `(B, T, T)`, where padding is what no token sees.
            attention_inputs, return_attention, training, others: as `TransformerBlock` takes them.
        """
        asked = {"return_attention": return_attention, "training": training}
        result = super().call(x, attention_mask=attention_mask, attention_inputs=attention_inputs, **asked, **others)
        y, *extras = result if isinstance(result, tuple) else (result,)
        near = at_tokens(self.convolution(x), attention_mask)
        near = self.activate(self.drop(near, training=training))
        y = at_tokens(self.convolution_norm(y + near), attention_mask)
        return (y, *extras) if extras else y


def at_tokens(x, attention_mask):
    """Returns `x`, `(B, T, D)`, with zeros where a mask `(B, T)` hides a token, or `(B, T, T)` hides it from all."""
    if attention_mask is None:
        return x
    seen = ops.not_equal(attention_mask, 0)
    seen = ops.any(seen, axis=1) if len(seen.shape) == 3 else seen
    return x * ops.cast(ops.expand_dims(seen, -1), x.dtype)
