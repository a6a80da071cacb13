"""RoBERTa's config, and the paper's table."""

from __future__ import annotations

import dataclasses

from keras_tx.models.bert.config import BERTConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class RobertaConfig(BERTConfig):
    """A bidirectional encoder; the defaults are RoBERTa base."""

    vocab_size: int = 50265
    max_positions: int = 514
    """Rows of the position table; the longest text is `pad_token_id + 1` shorter, as its positions begin there."""
    type_vocab_size: int = 1
    norm_epsilon: float = 1e-5
    pad_token_id: int | None = 1
    """The token that fills a row, which does not count as a position; None is refused."""
    bos_token_id: int | None = 0
    eos_token_id: int | tuple[int, ...] | None = 2

    @property
    def position_padding_id(self) -> int | None:
        """The token that does not count as a position, and the position that it has itself."""
        return self.pad_token_id

    @property
    def first_position(self) -> int:
        """The position of a text's first token; padding has the one before it."""
        return (self.position_padding_id or 0) + 1

    def __post_init__(self):
        super().__post_init__()
        if self.pad_token_id is None or not 0 <= self.pad_token_id < self.vocab_size:
            raise ValueError(
                f"`pad_token_id` must lie in [0, vocab_size) = [0, {self.vocab_size}), for positions are counted "
                f"without padding; got {self.pad_token_id}."
            )
        if self.max_positions <= self.first_position:
            raise ValueError(
                f"`max_positions` must be more than `pad_token_id` + 1 = {self.first_position}, the position of a "
                f"text's first token; got {self.max_positions}."
            )


VARIANTS = {
    "roberta_base": RobertaConfig(),
    "roberta_large": RobertaConfig(num_layers=24, num_heads=16, d_model=1024, d_ff=4096),
}
"""Liu et al. 2019, table 9; vocabulary and positions are those of the published models."""

TINY = RobertaConfig(vocab_size=61, max_positions=37, num_layers=2, num_heads=3, d_model=15, d_ff=29, pad_token_id=4)
TINY_HEAD = TINY.replace(num_layers=1, num_labels=5)
