"""DeBERTa's config, and the papers' tables."""

from __future__ import annotations

import dataclasses

from keras_tx.layers.attention.disentangled import require_buckets, require_position_terms
from keras_tx.layers.attention.variants import Disentangled, Pattern
from keras_tx.models.bert.config import BERTConfig
from keras_tx.ops.checks import require_positive, require_rate


@dataclasses.dataclass(frozen=True, kw_only=True)
class DebertaV2Config(BERTConfig):
    """A bidirectional encoder; the defaults are DeBERTa-v3 base."""

    vocab_size: int = 128100
    type_vocab_size: int = 0
    norm_epsilon: float = 1e-7
    relative_attention: bool = True
    """Whether attention is disentangled: by contents, and by relative positions."""
    max_relative_positions: int | None = None
    """The offset from which on all are alike; None for `max_positions`."""
    position_buckets: int | None = 256
    """Buckets of offsets in each direction; None for a vector of its own for each offset."""
    pos_att_type: tuple[str, ...] = ("p2c", "c2p")
    """The terms of the attention's scores besides that of contents, as `DisentangledAttention` takes them."""
    share_att_key: bool = True
    """Whether queries and keys of relative positions are made by the maps of those of contents."""
    norm_relative_embeddings: bool = True
    """Whether the vectors of relative positions are normalized."""
    position_biased_input: bool = False
    """Whether there are embeddings of absolute positions too; without these a text may be longer than
    `max_positions`."""
    conv_kernel_size: int | None = None
    """Tokens that a convolution beside the first block sees at once, an odd number; None for no convolution."""
    conv_activation: str = "tanh"
    """The activation after that."""
    pooler_activation: str = "gelu"
    """The activation between both linear maps of a head on the first token."""
    pooler_dropout: float = 0.0
    """The dropout rate before them."""
    legacy: bool = True
    """Whether a masked language model is saved for Transformers under the names that BERT's head has."""

    head_fields = BERTConfig.head_fields | {"pooler_activation", "pooler_dropout", "legacy"}
    has_token_types = False

    def __post_init__(self):
        super().__post_init__()
        require_position_terms(self.pos_att_type)
        object.__setattr__(self, "pos_att_type", tuple(self.pos_att_type))
        require_positive(max_relative_positions=self.max_relative_positions, conv_kernel_size=self.conv_kernel_size)
        require_buckets(self.position_buckets)
        require_rate(pooler_dropout=self.pooler_dropout)
        if self.type_vocab_size < 0:
            raise ValueError(f"`type_vocab_size` must be at least 0; got {self.type_vocab_size}.")
        if self.conv_kernel_size is not None and self.conv_kernel_size % 2 == 0:
            raise ValueError(f"`conv_kernel_size` must be odd, or None; got {self.conv_kernel_size}.")
        if self.attention is not None and self.relative_attention:
            raise ValueError(
                f"`attention` is in the place of the disentangled one: with {self.attention!r} give "
                "`relative_attention=False`."
            )
        if self.position_biased_input and self.longest is not None and self.longest < self.max_positions:
            raise ValueError(
                f"`position_buckets` = {self.position_buckets} of `max_relative_positions` = {self.relative_span} are "
                f"for texts of {self.longest} tokens, less than `max_positions` = {self.max_positions}: give fewer."
            )

    @property
    def has_position_table(self) -> bool:
        return self.position_biased_input

    @property
    def relative_span(self) -> int:
        """The offset from which on all are alike."""
        return self.max_relative_positions or self.max_positions

    @property
    def relative_rows(self) -> int:
        """How many vectors of relative positions there are."""
        return 2 * (self.position_buckets or self.relative_span)

    @property
    def longest(self) -> int | None:
        """How long a text may be for its relative positions; None for no limit.

        There is one where the buckets are so many that none is left for offsets larger than half of them.
        """
        half = (self.position_buckets or 0) // 2
        return half + 1 if self.relative_attention and half and self.relative_span <= half + 1 else None

    @property
    def block_attention(self) -> Pattern:
        """The attention of the blocks."""
        if not self.relative_attention:
            return self.attention
        return Disentangled(
            max_relative_positions=self.relative_span,
            position_buckets=self.position_buckets,
            pos_att_type=self.pos_att_type,
            share_att_key=self.share_att_key,
            position_dropout=self.hidden_dropout,
            own_table=False,
        )

    @property
    def attention_scale(self) -> float | None:
        """What multiplies the scores of plain attention, which counts the terms that it lacks; None for the usual."""
        if self.relative_attention or self.attention is not None:
            return None
        return (self.d_model // self.num_heads * (1 + len(self.pos_att_type))) ** -0.5


_V3 = DebertaV2Config()
_V2 = DebertaV2Config(num_layers=24, num_heads=24, d_model=1536, d_ff=6144, conv_kernel_size=3, conv_activation="gelu")
VARIANTS = {
    "deberta_v2_xlarge": _V2,
    "deberta_v2_xxlarge": _V2.replace(num_layers=48),
    "deberta_v3_xsmall": _V3.replace(num_heads=6, d_model=384, d_ff=1536),
    "deberta_v3_small": _V3.replace(num_layers=6),
    "deberta_v3_base": _V3,
    "deberta_v3_large": _V3.replace(num_layers=24, num_heads=16, d_model=1024, d_ff=4096),
}
"""He et al. 2020, section 5 and appendix A; He et al. 2021, section 4; the rest is that of the published models."""

TINY = DebertaV2Config(
    vocab_size=61,
    max_positions=37,
    type_vocab_size=3,
    num_layers=2,
    num_heads=3,
    d_model=15,
    d_ff=29,
    position_buckets=4,
    share_att_key=False,
    position_biased_input=True,
    conv_kernel_size=3,
)
TINY_HEAD = TINY.replace(num_layers=1, num_labels=5, share_att_key=True, conv_kernel_size=None)
