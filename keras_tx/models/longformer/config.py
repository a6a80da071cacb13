"""Longformer's config, and the sizes of the published models."""

from __future__ import annotations

import dataclasses

from keras_tx.layers.attention.longformer import require_window
from keras_tx.layers.attention.variants import Longformer
from keras_tx.models.roberta.config import RobertaConfig
from keras_tx.ops.checks import require_positive


@dataclasses.dataclass(frozen=True, kw_only=True)
class LongformerConfig(RobertaConfig):
    """A bidirectional encoder of long texts; the defaults are Longformer base."""

    max_positions: int = 4098
    attention_window: int | tuple[int, ...] = 512
    """How many neighbours a token sees, half of them to each side, an even number; of all blocks, or of each."""
    max_global_tokens: int | None = None
    """How many tokens of a text can be global, the first of those that are marked; None for any number, for which all
    pairs of positions are computed where the number is not known before."""
    sep_token_id: int | None = 2
    """The token that ends a question; None where `global_attention_mask` is always given."""

    @property
    def block_attention(self):
        return tuple(Longformer(attention_window=n, max_global=self.max_global_tokens) for n in self.windows)

    @property
    def windows(self) -> tuple[int, ...]:
        """The attention window of each block."""
        window = self.attention_window
        return (window,) * self.num_layers if isinstance(window, int) else window

    def __post_init__(self):
        super().__post_init__()
        if self.attention is not None:
            raise ValueError(f"`attention` must be None in Longformer, which has its own; got {self.attention!r}.")
        if len(self.windows) != self.num_layers:
            raise ValueError(
                f"`attention_window` must be one number, or one for each of the {self.num_layers} blocks; got "
                f"{self.attention_window!r}."
            )
        for window in self.windows:
            require_window(window)
        require_positive(max_global_tokens=self.max_global_tokens)


VARIANTS = {
    "longformer_base_4096": LongformerConfig(),
    "longformer_large_4096": LongformerConfig(num_layers=24, num_heads=16, d_model=1024, d_ff=4096),
}
"""Beltagy et al. 2020, section 5: RoBERTa's sizes, for texts eight times as long."""

TINY = LongformerConfig(
    vocab_size=61,
    max_positions=37,
    num_layers=2,
    num_heads=3,
    d_model=15,
    d_ff=29,
    pad_token_id=4,
    attention_window=(2, 4),
)
TINY_HEAD = TINY.replace(num_layers=1, num_labels=5, attention_window=2)
