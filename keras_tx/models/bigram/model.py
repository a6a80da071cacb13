"""The bigram model: the baseline that a transformer must beat."""

from __future__ import annotations

import dataclasses
from typing import Any, Self

import numpy as np

from keras_tx.layers import TokenEmbedding
from keras_tx.layers.core.base import register
from keras_tx.models.core.backbone import TextBackbone
from keras_tx.models.core.config import TokenConfig
from keras_tx.models.core.heads import CausalLanguageModelHead
from keras_tx.models.core.registry import register_model
from keras_tx.models.core.text import CausalLanguageModel
from keras_tx.ops.checks import require_positive


@dataclasses.dataclass(frozen=True, kw_only=True)
class BigramConfig(TokenConfig):
    """A language model that sees one token."""

    vocab_size: int = 65

    def __post_init__(self):
        require_positive(vocab_size=self.vocab_size)


@register_model()
class BigramBackbone(TextBackbone):
    """A table with one row of logits for each token, which are its hidden states."""

    config_class = BigramConfig
    has_cache = True
    config: BigramConfig
    input_names: tuple[str, ...] = ("input_ids", "attention_mask", "position_ids")
    adaptable = ()  # a row is as long as there are rows

    def __init__(self, config: BigramConfig | None = None, *, name: str | None = None, dtype=None, **overrides: Any):
        super().__init__(config, name=name, dtype=dtype, **overrides)
        size = self.config.vocab_size
        self.token_embedding = TokenEmbedding(
            size, size, initializer="zeros", dtype=self.dtype_policy, name="token_embedding"
        )
        self.build()

    @property
    def width(self):
        return self.config.vocab_size

    def build(self, input_shape=None):
        self.token_embedding.build((None, None))

    def hidden(self, inputs, *, cache=None, **asked):
        x = self.token_embedding(inputs["input_ids"])
        return {"last_hidden_state": x, "hidden_states": (x,), **({} if cache is None else {"cache": cache})}

    def init_cache(self, batch_size, length: int):
        """Nothing: one token is all the model sees."""
        return ()


@register
class BigramHead(CausalLanguageModelHead):
    """Gives hidden states as logits."""

    @classmethod
    def of(cls, backbone, config, **options):
        return cls(backbone.width, config.vocab_size, **options)

    def call(self, outputs, inputs, training=None, token_embedding=None):
        return {"logits": outputs["last_hidden_state"]}


@register_model(BigramConfig(vocab_size=61))
class BigramModel(CausalLanguageModel):
    """Logits of the next token from a table with one row for each token."""

    backbone_class, head_class = BigramBackbone, BigramHead

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
        model.backbone.token_embedding.embeddings.assign(np.log(counts / counts.sum(axis=1, keepdims=True)))
        return model
