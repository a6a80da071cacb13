"""T5's hyperparameters, and those of the published models."""

from __future__ import annotations

import dataclasses

from keras_tx.layers import AttentionConfig
from keras_tx.layers.attention.variants import MultiHead, Pattern, variants_of
from keras_tx.models.core.config import TextConfig
from keras_tx.ops.activations import get_activation
from keras_tx.ops.checks import require_positive, require_rate


@dataclasses.dataclass(frozen=True, kw_only=True)
class T5Config(TextConfig):
    """An encoder-decoder of texts; the defaults are T5 small."""

    vocab_size: int = 32128
    """The tokenizer's 32,100 pieces, filled up to a multiple of 128."""
    num_layers: int = 6
    """Blocks of the encoder."""
    num_decoder_layers: int | None = None
    """Blocks of the decoder; None for as many."""
    num_heads: int = 8
    attention: Pattern = None
    """`attention.MultiHead`, `GroupedQuery` or `MultiQuery`, by name or with fields, or several for the layers in turn;
    None for multi-head attention."""
    d_model: int = 512
    d_kv: int = 64
    """Width of a head; all heads together need not be as wide as the model."""
    d_ff: int = 2048
    """Width inside the feed-forward network."""
    activation: str = "relu"
    gated: bool = False
    """Whether the feed-forward network is gated, as from version 1.1 on."""
    num_buckets: int = 32
    """The number of buckets of offsets between positions, which are the rows of a position bias."""
    max_distance: int = 128
    """The offset from which on all are one to the position bias."""
    norm_epsilon: float = 1e-6
    dropout: float = 0.1
    """The dropout rate everywhere: embeddings, attention weights, residual branches, feed-forward, last norm."""
    classifier_dropout: float = 0.0
    """Before a classifier."""
    tie_embeddings: bool = True
    """Whether the output projection is the transposed token table; from version 1.1 on it is not."""
    scale_output: bool | None = None
    """Whether the decoder's output is divided by sqrt(d_model) before its projection; None for where that is tied."""
    initializer_factor: float = 1.0
    """Multiplies the standard deviation of every kernel and table at the start."""
    pad_token_id: int | None = 0
    eos_token_id: int | tuple[int, ...] | None = 1
    decoder_start_token_id: int = 0
    """The token that the decoder begins with."""

    head_fields = TextConfig.head_fields | {"scale_output"}

    @property
    def classifier_rate(self):
        return self.classifier_dropout

    def __post_init__(self):
        super().__post_init__()
        layers = max(self.num_layers, self.num_decoder_layers or 0)
        object.__setattr__(self, "attention", AttentionConfig.of(self.attention, layers))
        if not all(isinstance(variant, MultiHead) for variant in variants_of(self.attention)):
            raise ValueError(
                "`attention` must have scores, for T5's position bias to be added to: MultiHead, GroupedQuery or "
                f"MultiQuery; got {self.attention}."
            )
        require_positive(
            vocab_size=self.vocab_size,
            num_layers=self.num_layers,
            num_decoder_layers=self.num_decoder_layers,
            num_heads=self.num_heads,
            d_model=self.d_model,
            d_kv=self.d_kv,
            d_ff=self.d_ff,
            num_buckets=self.num_buckets,
            max_distance=self.max_distance,
        )
        require_rate(dropout=self.dropout, classifier_dropout=self.classifier_dropout)
        get_activation(self.activation)

    @property
    def scales_output(self) -> bool:
        """`scale_output`, decided."""
        return self.tie_embeddings if self.scale_output is None else self.scale_output


def _first(layers: int, heads: int, width: int, d_kv: int, d_ff: int) -> T5Config:
    return T5Config(num_layers=layers, num_heads=heads, d_model=width, d_kv=d_kv, d_ff=d_ff)


def _second(layers: int, heads: int, width: int, d_kv: int, d_ff: int) -> T5Config:
    version = {"gated": True, "activation": "gelu_tanh", "tie_embeddings": False}
    return _first(layers, heads, width, d_kv, d_ff).replace(**version)


VARIANTS = {
    #                     layers heads width d_kv   d_ff
    "t5_small": _first(6, 8, 512, 64, 2048),
    "t5_base": _first(12, 12, 768, 64, 3072),
    "t5_large": _first(24, 16, 1024, 64, 4096),
    "t5_xl": _first(24, 32, 1024, 128, 16384),
    "t5_xxl": _first(24, 128, 1024, 128, 65536),
    "t5_v1_1_small": _second(8, 6, 512, 64, 1024),
    "t5_v1_1_base": _second(12, 12, 768, 64, 2048),
    "t5_v1_1_large": _second(24, 16, 1024, 64, 2816),
    "t5_v1_1_xl": _second(24, 32, 2048, 64, 5120),
    "t5_v1_1_xxl": _second(24, 64, 4096, 64, 10240),
}
"""Raffel et al. 2020, section 3.7, where the two largest are called 3B and 11B; version 1.1 is of the same authors."""

TINY = T5Config(
    vocab_size=61,
    num_layers=2,
    num_decoder_layers=1,
    num_heads=5,
    d_model=11,
    d_kv=3,
    d_ff=29,
    num_buckets=7,
    max_distance=19,
    pad_token_id=None,
    eos_token_id=None,
)
TINY_HEAD = TINY.replace(num_layers=1, num_decoder_layers=None, num_labels=5)
