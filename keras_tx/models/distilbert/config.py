"""DistilBERT's config, and the paper's size."""

from __future__ import annotations

import dataclasses

from keras_tx.models.bert.config import BERTConfig
from keras_tx.ops.checks import require_rate


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistilBertConfig(BERTConfig):
    """A bidirectional encoder; the defaults are DistilBERT base, uncased."""

    type_vocab_size: int = 0
    num_layers: int = 6
    classifier_dropout: float | None = 0.2
    """The dropout rate before the classifier of a text, or of choices; None for `hidden_dropout`."""
    qa_dropout: float = 0.1
    """The dropout rate before the map that finds answers."""

    head_fields = BERTConfig.head_fields | {"qa_dropout"}
    has_token_types = False

    def __post_init__(self):
        super().__post_init__()
        require_rate(qa_dropout=self.qa_dropout)
        if self.type_vocab_size:
            raise ValueError(f"`type_vocab_size` must be 0 in DistilBERT; got {self.type_vocab_size}.")


VARIANTS = {"distilbert_base": DistilBertConfig()}
"""Sanh et al. 2019, section 3; vocabulary and positions are those of the published uncased model."""

TINY = DistilBertConfig(vocab_size=61, max_positions=37, num_layers=2, num_heads=3, d_model=15, d_ff=29)
TINY_HEAD = TINY.replace(num_layers=1, num_labels=5)
