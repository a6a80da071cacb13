"""The head that RoBERTa has otherwise than BERT: its classifier of texts."""

from __future__ import annotations

from keras import ops

from keras_tx.layers.core.base import register
from keras_tx.models.core.heads import PooledSequenceHead


@register
class FirstTokenHead(PooledSequenceHead):
    """Two linear maps of the first token's hidden state, tanh between them: `(B, T, D)` to logits `(B, N)`.

    Args:
        width, num_labels, problem_type, kernel_initializer: as `PooledSequenceHead` takes them.
        dropout: rate before each linear map.
    """

    def build(self, input_shape=None):
        self.hidden = self.linear(self.width, "hidden")
        self.hidden.build((None, self.width))
        super().build(input_shape)

    def call(self, outputs, inputs, training=None):
        x = self.classifier_drop(outputs["last_hidden_state"][:, 0], training=training)
        x = self.classifier_drop(ops.tanh(self.hidden(x)), training=training)
        return {"logits": self.classifier(x)}
