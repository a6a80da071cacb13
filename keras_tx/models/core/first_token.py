"""Heads on the first token's hidden state, of encoders without a pooler or that leave theirs out."""

from __future__ import annotations

from keras_tx.layers.core.base import register
from keras_tx.layers.core.dropout import Dropout
from keras_tx.models.core.config import ProblemType
from keras_tx.models.core.heads import ChoiceHead, PooledSequenceHead
from keras_tx.ops.activations import get_activation


@register
class FirstTokenHead(PooledSequenceHead):
    """Two linear maps of the first token's hidden state, an activation between them: `(B, T, D)` to logits `(B, N)`.

    Args:
        width, num_labels, problem_type, kernel_initializer: as `PooledSequenceHead` takes them.
        dropout: rate before the second linear map.
        activation: by name.
        first_dropout: rate before the first linear map; `dropout` unless given.
    """

    def __init__(
        self,
        width: int,
        num_labels: int,
        problem_type: ProblemType | None = None,
        dropout: float = 0.0,
        kernel_initializer="glorot_uniform",
        activation: str = "tanh",
        first_dropout: float | None = None,
        **kwargs,
    ):
        super().__init__(width, num_labels, problem_type, dropout, kernel_initializer, **kwargs)
        self.activation = activation
        self.first_dropout = first_dropout
        self.activate = get_activation(activation)
        self.first_drop = None
        if first_dropout is not None:
            self.first_drop = Dropout(first_dropout, dtype=self.dtype_policy, name="first_drop")

    def build(self, input_shape=None):
        self.hidden = self.linear(self.width, "hidden")
        self.hidden.build((None, self.width))
        super().build(input_shape)

    def call(self, outputs, inputs, training=None):
        drop = self.classifier_drop if self.first_drop is None else self.first_drop
        x = drop(outputs["last_hidden_state"][:, 0], training=training)
        x = self.classifier_drop(self.activate(self.hidden(x)), training=training)
        return {"logits": self.classifier(x)}


@register
class FirstTokenChoiceHead(ChoiceHead):
    """A score for each of C texts, from its first token's hidden state: two linear maps, an activation between them.

    Args:
        width, dropout, kernel_initializer: as `ChoiceHead` takes them.
        activation: by name.
        first_dropout: rate before the first linear map.
    """

    def __init__(
        self,
        width: int,
        dropout: float = 0.0,
        kernel_initializer="glorot_uniform",
        activation: str = "relu",
        first_dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(width, dropout, kernel_initializer, **kwargs)
        self.activation = activation
        self.first_dropout = first_dropout
        self.activate = get_activation(activation)
        self.first_drop = Dropout(first_dropout, dtype=self.dtype_policy, name="first_drop")

    def build(self, input_shape=None):
        self.hidden = self.linear(self.width, "hidden")
        self.hidden.build((None, self.width))
        super().build(input_shape)

    def call(self, outputs, inputs, training=None):
        x = self.first_drop(outputs["last_hidden_state"][:, 0], training=training)
        x = self.activate(self.hidden(x))
        return super().call({"pooler_output": x}, inputs, training)
