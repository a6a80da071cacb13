"""The heads that BERT alone has: of pre-training (Devlin et al. 2018, section 3.1)."""

from __future__ import annotations

from typing import Any, ClassVar

import keras

from keras_tx.layers.core.base import register
from keras_tx.layers.core.dropout import Dropout
from keras_tx.models.core.heads import CrossEntropyHead, MaskedLanguageModelHead
from keras_tx.ops.losses import token_cross_entropy


@register
class NextSentenceHead(CrossEntropyHead):
    """Whether the second text of a pair follows the first: the pooled output, `(B, D)`, to logits `(B, 2)`.

    Args:
        width, kernel_initializer: as `SpanHead` takes them.
    """

    def __init__(self, width: int, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.seq_relationship = self.linear(2, "seq_relationship")

    @classmethod
    def of(cls, backbone, config, **options):
        return cls(backbone.width, backbone.initializer(), **options)

    def build(self, input_shape=None):
        self.seq_relationship.build((None, self.width))

    def call(self, outputs, inputs, training=None):
        return {"logits": self.seq_relationship(outputs["pooler_output"])}

    @property
    def num_classes_of(self):
        return {"labels": 2}


@register
class PreTrainingHead(MaskedLanguageModelHead):
    """Both tasks of the pre-training: masked tokens, and the next sentence as `"seq_relationship_logits"`.

    The loss is the sum of both mean cross-entropies; it needs the labels of both.

    Args:
        width, vocab_size, options: as `MaskedLanguageModelHead` takes them.
        dropout: rate on the pooled output.
    """

    targets: ClassVar = {"logits": "labels", "seq_relationship_logits": "next_sentence_label"}
    """Of the tokens, then of the pair."""

    def __init__(self, width: int, vocab_size: int, *, dropout: float = 0.0, **options: Any):
        super().__init__(width, vocab_size, **options)
        self._hand_on(options)
        self.dropout = dropout
        self.drop = Dropout(dropout, dtype=self.dtype_policy, name="drop")

    def build(self, input_shape=None):
        super().build(input_shape)
        self.seq_relationship = self.linear(2, "seq_relationship")
        self.seq_relationship.build((None, self.width))

    def call(self, outputs, inputs, training=None, token_embedding=None):
        _, of_pair = self.targets
        pooled = self.drop(outputs["pooler_output"], training=training)
        logits = super().call(outputs, inputs, training, token_embedding)
        return {**logits, of_pair: self.seq_relationship(pooled)}

    def own_losses(self, outputs, labels, weights):
        if any(labels[name] is None for name in self.targets.values()):
            return {}
        losses = [
            token_cross_entropy(outputs[logits], labels[name], name, sample_weight=weights.get(name))
            for logits, name in self.targets.items()
        ]
        return {"loss": sum(losses)}

    @property
    def num_classes_of(self):
        _, of_pair = self.targets.values()
        return {**super().num_classes_of, of_pair: 2}
