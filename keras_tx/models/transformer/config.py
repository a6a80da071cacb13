"""The Transformer's config, and the paper's table."""

from __future__ import annotations

import dataclasses
from typing import Literal

from keras_tx.layers import AttentionConfig
from keras_tx.layers.attention.variants import Pattern
from keras_tx.models.core.config import TextConfig
from keras_tx.ops.checks import require_divides, require_even, require_positive, require_rate


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransformerConfig(TextConfig):
    """An encoder-decoder; the defaults are the paper's base model, without label smoothing."""

    vocab_size: int = 37000
    """Tokens of the target, and of the source unless that has its own."""
    source_vocab_size: int | None = None
    """Tokens of the source; None where both share one vocabulary, and one table."""
    d_model: int = 512
    num_heads: int = 8
    attention: Pattern = None
    """Another self-attention, as `AttentionConfig.of` takes it, or several for the layers in turn; None for multi-head
    attention."""
    num_layers: int = 6
    """Blocks of the encoder."""
    num_decoder_layers: int | None = None
    """Blocks of the decoder; None for as many."""
    dim_feedforward: int = 2048
    """Width inside the feed-forward network."""
    dropout: float = 0.1
    """The dropout rate on the sums of embeddings and positions, and on each residual branch."""
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    """Inside the feed-forward network."""
    activation: str = "relu"
    norm_position: Literal["pre", "post"] = "post"
    final_norm: bool | None = None
    """Whether each stack ends in a norm; None for with pre-norm alone. `torch.nn.Transformer` always does."""
    norm_epsilon: float = 1e-5
    tie_embeddings: bool = True
    """Whether the output projection is the target's transposed token table; otherwise it has a bias, too."""
    label_smoothing: float = 0.0
    """The share of each label that all tokens have between them in the loss; the paper's is 0.1."""
    pad_token_id: int | None = 0
    decoder_start_token_id: int = 0
    """The token that the decoder begins with."""

    head_fields = TextConfig.head_fields | {"label_smoothing"}

    def __post_init__(self):
        super().__post_init__()
        layers = max(self.num_layers, self.num_decoder_layers or 0)
        object.__setattr__(self, "attention", AttentionConfig.of(self.attention, layers))
        require_positive(
            vocab_size=self.vocab_size,
            source_vocab_size=self.source_vocab_size,
            d_model=self.d_model,
            num_heads=self.num_heads,
            num_layers=self.num_layers,
            num_decoder_layers=self.num_decoder_layers,
            dim_feedforward=self.dim_feedforward,
        )
        require_divides(self.d_model, self.num_heads, "d_model", "num_heads")
        require_even(d_model=self.d_model)
        require_rate(
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            activation_dropout=self.activation_dropout,
            label_smoothing=self.label_smoothing,
        )


VARIANTS = {
    "transformer_base": TransformerConfig(label_smoothing=0.1),
    "transformer_big": TransformerConfig(
        d_model=1024, num_heads=16, dim_feedforward=4096, dropout=0.3, label_smoothing=0.1
    ),
}
"""Vaswani et al. 2017, table 3, with the vocabulary of English and German."""

TINY = TransformerConfig(
    vocab_size=61,
    d_model=18,
    num_heads=3,
    num_layers=2,
    num_decoder_layers=1,
    dim_feedforward=29,
    pad_token_id=None,
)
