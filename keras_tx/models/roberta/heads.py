"""The head that RoBERTa has otherwise than BERT: its classifier of texts."""

from __future__ import annotations

import keras
from keras import ops

from keras_tx.layers.core.base import register
from keras_tx.layers.core.dropout import Dropout
from keras_tx.models.core.config import ProblemType
from keras_tx.models.core.heads import SequenceHead


@register
class FirstTokenHead(SequenceHead):
    """Two linear maps of the first token's hidden state, tanh between them: `(B, T, D)` to logits `(B, N)`.

    Args:
        width: D.
        num_labels: N.
        problem_type: see `SequenceHead`.
        dropout: rate before each linear map.
        kernel_initializer: of the linear maps.
    """

    def __init__(
        self,
        width: int,
        num_labels: int,
        problem_type: ProblemType | None = None,
        dropout: float = 0.0,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.width = width
        self.num_labels = num_labels
        self.problem_type = problem_type
        self.dropout = dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.hidden_drop = Dropout(dropout, dtype=self.dtype_policy, name="hidden_drop")
        self.hidden = self.linear(width, "hidden")
        self.classifier_drop = Dropout(dropout, dtype=self.dtype_policy, name="classifier_drop")
        self.classifier = self.linear(num_labels, "classifier")

    @classmethod
    def of(cls, backbone, config, **options):
        sizes = (backbone.width, config.num_labels, config.problem_type, config.classifier_rate)
        return cls(*sizes, backbone.initializer(), **options)

    def build(self, input_shape=None):
        self.hidden.build((None, self.width))
        self.classifier.build((None, self.width))

    def call(self, outputs, inputs, training=None):
        x = self.hidden_drop(outputs["last_hidden_state"][:, 0], training=training)
        x = self.classifier_drop(ops.tanh(self.hidden(x)), training=training)
        return {"logits": self.classifier(x)}
