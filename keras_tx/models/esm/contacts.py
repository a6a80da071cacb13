"""Which residues of a protein touch, told from the attention maps."""

from __future__ import annotations

from keras import ops

from keras_tx.layers.core.base import Layer, register

EOS = 2
"""The token that ends a protein."""


@register
class ContactHead(Layer):
    """A logistic regression on all attention maps (Rao et al. 2021, section 3.4).

    Its weights were fitted apart from the model's and are not trained with it.

    Args:
        num_maps: how many maps there are, L: the heads of all layers.
    """

    def __init__(self, num_maps: int, **kwargs):
        super().__init__(**kwargs)
        self.num_maps = num_maps

    def build(self, input_shape=None):
        self.kernel = self.add_weight(
            shape=(self.num_maps, 1), initializer="glorot_uniform", trainable=False, name="kernel"
        )
        self.bias = self.add_weight(shape=(1,), initializer="zeros", trainable=False, name="bias")

    def call(self, ids, attentions):
        """The probabilities that two residues touch, `(B, T - 2, T - 2)`, of those between a first and a last token.

        Args:
            ids: `(B, T)`.
            attentions: the maps, `(B, L, T, T)`, zeros at padding.
        """
        inside = ops.cast(ops.not_equal(ids, EOS), attentions.dtype)
        x = (attentions * inside[:, None, :, None] * inside[:, None, None, :])[..., 1:-1, 1:-1]
        x = x + ops.swapaxes(x, -1, -2)
        rows, columns, total = (ops.sum(x, axis=axis, keepdims=True) for axis in (-1, -2, (-1, -2)))
        corrected = x - rows * columns / total  # the average product correction of Dunn et al. 2008
        logits = ops.matmul(ops.moveaxis(corrected, 1, -1), ops.cast(self.kernel, x.dtype))
        return ops.sigmoid(logits[..., 0] + ops.cast(self.bias, x.dtype))
