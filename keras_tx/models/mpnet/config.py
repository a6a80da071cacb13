"""MPNet's config, and the paper's size."""

from __future__ import annotations

import dataclasses

from keras_tx.models.roberta.config import RobertaConfig

NUM_BUCKETS = 32
"""How many buckets of offsets there are, whatever the rows of their table."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MPNetConfig(RobertaConfig):
    """A bidirectional encoder; the defaults are MPNet base."""

    vocab_size: int = 30527
    type_vocab_size: int = 0
    bucket_rows: int = NUM_BUCKETS
    """Rows of the table of position biases, 32 or more, of which the first 32 are used."""

    has_token_types = False

    @property
    def position_padding_id(self) -> int:
        return 1  # whatever the config calls padding

    def __post_init__(self):
        super().__post_init__()
        if self.bucket_rows < NUM_BUCKETS:
            raise ValueError(f"`bucket_rows` must be at least {NUM_BUCKETS}; got {self.bucket_rows}.")
        if self.type_vocab_size:
            raise ValueError(f"`type_vocab_size` must be 0 in MPNet; got {self.type_vocab_size}.")


VARIANTS = {"mpnet_base": MPNetConfig()}
"""Song et al. 2020, section 3.1; vocabulary and positions are those of the published model."""

TINY = MPNetConfig(vocab_size=61, max_positions=37, num_layers=2, num_heads=3, d_model=15, d_ff=29)
TINY_HEAD = TINY.replace(num_layers=1, num_labels=5)
