"""ALBERT's config, and the paper's table."""

from __future__ import annotations

import dataclasses

from keras_tx.models.bert.config import BERTConfig
from keras_tx.ops.checks import require_positive


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlbertConfig(BERTConfig):
    """A bidirectional encoder; the defaults are ALBERT base, version 2."""

    vocab_size: int = 30000
    embedding_dim: int | None = 128
    num_groups: int = 1
    """How many groups of blocks have weights of their own; the layers are shared out among them in turn, evenly."""
    blocks_per_group: int = 1
    """How many blocks a layer consists of."""
    activation: str = "gelu_tanh"
    hidden_dropout: float = 0.0
    attention_dropout: float = 0.0
    classifier_dropout: float | None = 0.1
    bos_token_id: int | None = 2
    eos_token_id: int | tuple[int, ...] | None = 3

    @property
    def projects_embeddings(self) -> bool:
        return True  # also to the same width

    def __post_init__(self):
        super().__post_init__()
        require_positive(num_groups=self.num_groups, blocks_per_group=self.blocks_per_group)


VARIANTS = {
    "albert_base": AlbertConfig(),
    "albert_large": AlbertConfig(num_layers=24, num_heads=16, d_model=1024, d_ff=4096),
    "albert_xlarge": AlbertConfig(num_layers=24, num_heads=16, d_model=2048, d_ff=8192),
    "albert_xxlarge": AlbertConfig(num_layers=12, num_heads=64, d_model=4096, d_ff=16384),
}
"""Lan et al. 2020, table 1; heads, dropout and vocabulary are those of the published models of version 2."""

TINY = AlbertConfig(
    vocab_size=61,
    max_positions=37,
    type_vocab_size=3,
    embedding_dim=11,
    num_layers=3,
    num_groups=2,
    num_heads=3,
    d_model=15,
    d_ff=29,
)
TINY_HEAD = TINY.replace(num_layers=2, num_groups=1, num_labels=5)
