"""ELECTRA's own head: which tokens of a text were replaced."""

from __future__ import annotations

import keras

from keras_tx.layers.core.base import register
from keras_tx.models.core.head import Head
from keras_tx.ops.activations import get_activation
from keras_tx.ops.losses import token_binary_cross_entropy


@register
class ReplacedTokenHead(Head):
    """Whether each token was replaced (Clark et al. 2020, section 2): `(B, T, D)` to logits `(B, T)`.

    The loss is the mean binary cross-entropy over the tokens that the attention mask shows.

    Args:
        width: D.
        activation: between both linear maps, by name.
        kernel_initializer: of both.
    """

    binary = True

    def __init__(self, width: int, activation: str = "gelu", kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.activation = activation
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.activate = get_activation(activation)
        self.hidden = self.linear(width, "hidden")
        self.classifier = self.linear(1, "classifier")

    @classmethod
    def of(cls, backbone, config, **options):
        return cls(backbone.width, config.activation, backbone.initializer(), **options)

    def build(self, input_shape=None):
        self.hidden.build((None, None, self.width))
        self.classifier.build((None, None, self.width))

    def call(self, outputs, inputs, training=None):
        x = self.activate(self.hidden(outputs["last_hidden_state"]))
        return {"logits": self.classifier(x)[..., 0]}

    def own_losses(self, outputs, labels, weights):
        if labels["labels"] is None:
            return {}
        mask = labels.get("attention_mask")
        of_tokens = mask if mask is None or len(mask.shape) == 2 else None
        options = {"mask": of_tokens, "sample_weight": weights.get("labels")}
        return {"loss": token_binary_cross_entropy(outputs["logits"], labels["labels"], **options)}

    @property
    def num_classes_of(self):
        return {"labels": 2}
