"""ESM's config, and the table of ESM-2."""

from __future__ import annotations

import dataclasses
from typing import Literal

from keras_tx.models.roberta.config import RobertaConfig
from keras_tx.ops.attention.rotary import Rotary


@dataclasses.dataclass(frozen=True, kw_only=True)
class EsmConfig(RobertaConfig):
    """A bidirectional encoder of proteins; the defaults are the smallest ESM-2."""

    vocab_size: int = 33
    max_positions: int = 1026
    """Rows of the position table, of which the longest text has `pad_token_id + 1` fewer; with rotary embeddings, the
    longest text."""
    type_vocab_size: int = 0
    num_layers: int = 6
    num_heads: int = 20
    d_model: int = 320
    d_ff: int = 1280
    positions: Literal["learned", "rotary"] = "rotary"
    """How tokens know where they stand: by a table, as in ESM-1b, or by rotary embeddings, as in ESM-2."""
    rope_theta: float = 10000.0
    """The base of rotary embeddings."""
    embedding_norm: bool = False
    """Whether the embeddings are normalized, as in ESM-1b."""
    token_dropout: bool = True
    """Whether masked tokens are zeros, for which the embeddings of the others make up."""
    mask_token_id: int | None = 32
    """The token that masks others; `token_dropout` needs it."""
    hidden_dropout: float = 0.0
    attention_dropout: float = 0.0
    bos_token_id: int | None = None

    has_token_types = False
    norm_position = "pre"

    @property
    def rotary(self) -> Rotary | None:
        return Rotary(rope_theta=self.rope_theta) if self.positions == "rotary" else None

    @property
    def normalizes_embeddings(self) -> bool:
        return self.embedding_norm

    @property
    def embedding_dropout(self) -> float:
        return 0.0

    def __post_init__(self):
        super().__post_init__()
        if self.positions not in ("learned", "rotary"):
            raise ValueError(f'`positions` must be "learned" or "rotary"; got {self.positions!r}.')
        if self.type_vocab_size:
            raise ValueError(f"`type_vocab_size` must be 0 in ESM; got {self.type_vocab_size}.")
        if self.token_dropout and (self.mask_token_id is None or not 0 <= self.mask_token_id < self.vocab_size):
            raise ValueError(
                f"`mask_token_id` must lie in [0, vocab_size) = [0, {self.vocab_size}), for `token_dropout` is on; got "
                f"{self.mask_token_id}."
            )


VARIANTS = {
    "esm2_t6_8m": EsmConfig(),
    "esm2_t12_35m": EsmConfig(num_layers=12, d_model=480, d_ff=1920),
    "esm2_t30_150m": EsmConfig(num_layers=30, d_model=640, d_ff=2560),
    "esm2_t33_650m": EsmConfig(num_layers=33, d_model=1280, d_ff=5120),
}
"""Lin et al. 2022, table S1; vocabulary and positions are those of the published models."""

TINY = EsmConfig(vocab_size=61, max_positions=37, num_layers=2, num_heads=3, d_model=18, d_ff=29, pad_token_id=4)
TINY_LEARNED = TINY.replace(positions="learned", embedding_norm=True, d_model=15)
TINY_HEAD = TINY.replace(num_layers=1, num_labels=5)
