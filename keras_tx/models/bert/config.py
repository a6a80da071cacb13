"""BERT's config, and the paper's table."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from keras_tx.layers import AttentionConfig
from keras_tx.layers.attention.variants import Pattern
from keras_tx.models.core.config import TextConfig
from keras_tx.ops.checks import require_divides, require_positive, require_rate


@dataclasses.dataclass(frozen=True, kw_only=True)
class BERTConfig(TextConfig):
    """A bidirectional encoder; the defaults are BERT base, uncased."""

    vocab_size: int = 30522
    max_positions: int = 512
    """The longest sequence: rows of the position table."""
    type_vocab_size: int = 2
    """Kinds of tokens: of the first text, of the second."""
    num_layers: int = 12
    num_heads: int = 12
    attention: Pattern = None
    """Another self-attention, as `AttentionConfig.of` takes it, or several for the layers in turn; None for multi-head
    attention."""
    d_model: int = 768
    d_ff: int = 3072
    """Width inside the feed-forward network."""
    embedding_dim: int | None = None
    """Width of the embeddings, which a linear map takes to `d_model` where it is another; None for `d_model`."""
    activation: str = "gelu"
    """The activation of the feed-forward network."""
    norm_epsilon: float = 1e-12
    hidden_dropout: float = 0.1
    """The dropout rate on the embeddings and on each residual branch."""
    attention_dropout: float = 0.1
    classifier_dropout: float | None = None
    """The dropout rate before a classifier; None for `hidden_dropout`."""
    head_activation: str | None = None
    """The activation of the masked language model's head; None for `activation`."""
    head_norm_epsilon: float | None = None
    """The epsilon of its norm; None for `norm_epsilon`."""
    tie_embeddings: bool = True
    """Whether a masked language model's output projection is the transposed token table, as it has to be here."""
    initializer_range: float = 0.02
    """Standard deviation of every kernel and table at the start."""
    pad_token_id: int | None = 0

    head_fields = TextConfig.head_fields | {"head_activation", "head_norm_epsilon"}
    has_token_types: ClassVar[bool] = True
    """Whether there are kinds of tokens; where there are none, `type_vocab_size` is 0."""

    @property
    def has_position_table(self) -> bool:
        return True

    @property
    def embedding_width(self) -> int:
        return self.embedding_dim or self.d_model

    @property
    def projects_embeddings(self) -> bool:
        """Whether a linear map takes the embeddings to `d_model`."""
        return self.embedding_width != self.d_model

    @property
    def classifier_rate(self):
        return self.hidden_dropout if self.classifier_dropout is None else self.classifier_dropout

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "attention", AttentionConfig.of(self.attention, self.num_layers))
        require_positive(
            vocab_size=self.vocab_size,
            max_positions=self.max_positions,
            type_vocab_size=self.type_vocab_size if self.has_token_types else None,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            d_model=self.d_model,
            d_ff=self.d_ff,
            embedding_dim=self.embedding_dim,
        )
        require_divides(self.d_model, self.num_heads, "d_model", "num_heads")
        require_rate(
            hidden_dropout=self.hidden_dropout,
            attention_dropout=self.attention_dropout,
            classifier_dropout=self.classifier_dropout or 0.0,
        )


VARIANTS = {
    "bert_base": BERTConfig(),
    "bert_large": BERTConfig(num_layers=24, num_heads=16, d_model=1024, d_ff=4096),
}
"""Devlin et al. 2018, section 3; vocabulary and positions are those of the published uncased models."""

TINY = BERTConfig(vocab_size=61, max_positions=37, type_vocab_size=3, num_layers=2, num_heads=3, d_model=15, d_ff=29)
TINY_HEAD = TINY.replace(num_layers=1, num_labels=5)
