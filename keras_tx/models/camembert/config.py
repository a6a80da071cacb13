"""CamemBERT's config, and the paper's table."""

from __future__ import annotations

import dataclasses

from keras_tx.models.roberta.config import RobertaConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class CamembertConfig(RobertaConfig):
    """A bidirectional encoder; the defaults are CamemBERT base."""

    vocab_size: int = 32005


VARIANTS = {
    "camembert_base": CamembertConfig(),
    "camembert_large": CamembertConfig(num_layers=24, num_heads=16, d_model=1024, d_ff=4096),
}
"""Martin et al. 2020, section 4.1; vocabulary and positions are those of the published models."""

TINY = CamembertConfig(vocab_size=61, max_positions=37, num_layers=2, num_heads=3, d_model=15, d_ff=29, pad_token_id=4)
TINY_HEAD = TINY.replace(num_layers=1, num_labels=5)
