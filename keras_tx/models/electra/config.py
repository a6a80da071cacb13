"""ELECTRA's config, and the paper's table."""

from __future__ import annotations

import dataclasses

from keras_tx.models.bert.config import BERTConfig
from keras_tx.ops.checks import require_rate


@dataclasses.dataclass(frozen=True, kw_only=True)
class ElectraConfig(BERTConfig):
    """A bidirectional encoder; the defaults are ELECTRA small, the discriminator."""

    embedding_dim: int | None = 128
    num_heads: int = 4
    d_model: int = 256
    d_ff: int = 1024
    summary_activation: str | None = "gelu"
    """The activation between both linear maps of a choice; None for none."""
    summary_dropout: float = 0.1
    """The dropout rate between them."""

    head_fields = BERTConfig.head_fields | {"summary_activation", "summary_dropout"}

    def __post_init__(self):
        super().__post_init__()
        require_rate(summary_dropout=self.summary_dropout)


VARIANTS = {
    "electra_small": ElectraConfig(),
    "electra_base": ElectraConfig(embedding_dim=768, num_heads=12, d_model=768, d_ff=3072),
    "electra_large": ElectraConfig(embedding_dim=1024, num_layers=24, num_heads=16, d_model=1024, d_ff=4096),
}
"""Clark et al. 2020, table 6; vocabulary and positions are those of the published models."""

TINY = ElectraConfig(
    vocab_size=61,
    max_positions=37,
    type_vocab_size=3,
    embedding_dim=11,
    num_layers=2,
    num_heads=3,
    d_model=15,
    d_ff=29,
)
TINY_HEAD = TINY.replace(num_layers=1, num_labels=5)
