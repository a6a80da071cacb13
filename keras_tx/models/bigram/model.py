"""The bigram model: the baseline that a transformer must beat."""

from __future__ import annotations

import dataclasses
from typing import Any, Self

import numpy as np
from keras import ops

from keras_tx.generation import GenerationMixin
from keras_tx.layers import TokenEmbedding
from keras_tx.models.core.base import text_inputs
from keras_tx.models.core.config import Config
from keras_tx.models.core.registry import register_model
from keras_tx.models.core.text_heads import CausalLanguageModel
from keras_tx.ops.checks import require_positive


@dataclasses.dataclass(frozen=True, kw_only=True)
class BigramConfig(Config):
    """A language model that sees one token."""

    vocab_size: int = 65
    max_positions: int | None = None
    """No limit: the model has no positions."""

    def __post_init__(self):
        require_positive(vocab_size=self.vocab_size)


@register_model(BigramConfig(vocab_size=61))
class BigramModel(GenerationMixin, CausalLanguageModel):
    """Logits of the next token from a table with one row for each token.

    Args:
        config: a `BigramConfig`; 65 tokens unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    config_class = BigramConfig
    config: BigramConfig

    def __init__(self, config: BigramConfig | None = None, *, name: str | None = None, dtype=None, **overrides: Any):
        super().__init__(config, name=name, dtype=dtype, **overrides)
        size = self.config.vocab_size
        self.table = TokenEmbedding(size, size, initializer="zeros", dtype=self.dtype_policy, name="table")
        self.build()

    @classmethod
    def from_counts(cls, ids: np.ndarray, vocab_size: int) -> Self:
        """The most likely bigram model of a text, with one added to each count.

        Args:
            ids: the text, integers `(N,)`.
            vocab_size: number of tokens.
        """
        model = cls(vocab_size=vocab_size)
        counts = np.ones((vocab_size, vocab_size))
        np.add.at(counts, (ids[:-1], ids[1:]), 1)
        model.table.embeddings.assign(np.log(counts / counts.sum(axis=1, keepdims=True)))
        return model

    def build(self, input_shape=None):
        self.table.build((None, None))

    def call(self, inputs, attention_mask=None, labels=None, training=None):
        """`{"logits": (B, T, vocab_size)}` for ids `(B, T)`, or a dict of them; with `labels`, also `"loss"`.

        `attention_mask` is taken, as by other models, and makes no difference.
        """
        given = text_inputs(inputs, attention_mask=attention_mask, labels=labels)
        outputs = {"logits": self.table(given["input_ids"])}
        return outputs | self.own_losses(outputs, given)

    def init_cache(self, batch_size, length: int):
        """Nothing: one token is all the model sees."""
        return ()

    def decode_step(self, ids, position_ids, attention_mask, cache, last):
        """Logits after position `last`, `(B,)`, of each row of `ids`, `(B, T)`: `(B, vocab_size)`, and the cache."""
        return self.table(ops.take_along_axis(ids, ops.reshape(last, (-1, 1)), axis=1)[:, 0]), cache
