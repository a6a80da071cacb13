"""Heads on the first token's hidden state, of encoders without a pooler or that leave theirs out."""

from __future__ import annotations

from keras_tx.layers.core.base import register
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
        drops_first: whether there is as much dropout before the first linear map.
    """

    def __init__(
        self,
        width: int,
        num_labels: int,
        problem_type: ProblemType | None = None,
        dropout: float = 0.0,
        kernel_initializer="glorot_uniform",
        activation: str = "tanh",
        drops_first: bool = True,
        **kwargs,
    ):
        super().__init__(width, num_labels, problem_type, dropout, kernel_initializer, **kwargs)
        self.activation = activation
        self.drops_first = drops_first
        self.activate = get_activation(activation)

    def build(self, input_shape=None):
        self.hidden = self.linear(self.width, "hidden")
        self.hidden.build((None, self.width))
        super().build(input_shape)

    def call(self, outputs, inputs, training=None):
        x = outputs["last_hidden_state"][:, 0]
        x = self.classifier_drop(x, training=training) if self.drops_first else x
        x = self.classifier_drop(self.activate(self.hidden(x)), training=training)
        return {"logits": self.classifier(x)}


@register
class FirstTokenChoiceHead(ChoiceHead):
    """A score for each of C texts, from its first token's hidden state: two linear maps, an activation between them.

    Args:
        width, dropout, kernel_initializer: as `ChoiceHead` takes them.
        activation: by name.
    """

    def __init__(
        self,
        width: int,
        dropout: float = 0.0,
        kernel_initializer="glorot_uniform",
        activation: str = "relu",
        **kwargs,
    ):
        super().__init__(width, dropout, kernel_initializer, **kwargs)
        self.activation = activation
        self.activate = get_activation(activation)

    def build(self, input_shape=None):
        self.hidden = self.linear(self.width, "hidden")
        self.hidden.build((None, self.width))
        super().build(input_shape)

    def call(self, outputs, inputs, training=None):
        x = self.activate(self.hidden(outputs["last_hidden_state"][:, 0]))
        return super().call({"pooler_output": x}, inputs, training)
