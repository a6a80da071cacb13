"""The Transformer (Vaswani et al. 2017): an encoder-decoder of two sequences."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import keras
from keras import ops

from keras_tx.layers import AttentionConfig, TokenEmbedding, TransformerDecoder, TransformerEncoder
from keras_tx.layers.attention.variants import Pattern
from keras_tx.layers.core.dropout import Dropout
from keras_tx.models.core.config import TextConfig
from keras_tx.models.core.registry import register_model, register_variant
from keras_tx.models.core.seq2seq import Seq2SeqLanguageModel
from keras_tx.ops.attention.positions import sinusoidal
from keras_tx.ops.checks import require_divides, require_even, require_positive, require_rate

# === Config ===


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
    """On the sums of embeddings and positions, and on each residual branch."""
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
    """What the decoder begins with."""

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


# === Model ===


@register_model(TINY.replace(source_vocab_size=67, label_smoothing=0.1))
class Transformer(Seq2SeqLanguageModel):
    """The encoder-decoder of "Attention Is All You Need".

    `model(input_ids, decoder_input_ids)` gives `{"logits": (B, T, vocab_size)}`; with `labels`, `(B, T)`, which are
    shifted right where there are no `decoder_input_ids`, also `"loss"`: their mean cross-entropy in nats, smoothed as
    the config says, -100 not counting.

    Positions are sinusoids, sine at even channels and cosine at odd ones, counted without padding. Embeddings are
    multiplied by sqrt(d_model).

    Args:
        vocab_size: tokens of the vocabulary; or a whole `TransformerConfig`, as other models take it. The paper's base
            model unless given.
        d_model, num_heads, num_layers, dim_feedforward, dropout: the config's fields.
        name, dtype: as in Keras.
        overrides: other fields of the config.
    """

    config_class = TransformerConfig
    config: TransformerConfig

    def __init__(
        self,
        vocab_size: int | TransformerConfig | None = None,
        d_model: int | None = None,
        num_heads: int | None = None,
        num_layers: int | None = None,
        dim_feedforward: int | None = None,
        dropout: float | None = None,
        *,
        name: str | None = None,
        dtype=None,
        **overrides: Any,
    ):
        config = vocab_size if isinstance(vocab_size, TransformerConfig) else None
        sizes = {
            "vocab_size": None if config else vocab_size,
            "d_model": d_model,
            "num_heads": num_heads,
            "num_layers": num_layers,
            "dim_feedforward": dim_feedforward,
            "dropout": dropout,
        }
        overrides |= {field: size for field, size in sizes.items() if size is not None}
        super().__init__(config, name=name, dtype=dtype, **overrides)
        c = self.config
        self.token_embedding = self._table(c.vocab_size, "token_embedding")
        self.source_embedding = self.token_embedding
        if c.source_vocab_size is not None:
            self.source_embedding = self._table(c.source_vocab_size, "source_embedding")
        self.embedding_drop = Dropout(c.dropout, dtype=self.dtype_policy, name="embedding_drop")
        self.encoder = TransformerEncoder(c.num_layers, name="encoder", **self._stack_options())
        self.decoder = TransformerDecoder(c.num_decoder_layers or c.num_layers, name="decoder", **self._stack_options())
        if not c.tie_embeddings:
            self.output_projection = self.linear(c.vocab_size, "output_projection")
        self.build()

    def _table(self, rows: int, name: str) -> TokenEmbedding:
        # Multiplied by sqrt(d_model), and as the kernel of the logits, both come out near 1.
        initializer = keras.initializers.RandomNormal(stddev=self.config.d_model**-0.5)
        return TokenEmbedding(rows, self.config.d_model, initializer=initializer, dtype=self.dtype_policy, name=name)

    def _stack_options(self) -> dict[str, Any]:
        c = self.config
        return {
            "d_model": c.d_model,
            "num_heads": c.num_heads,
            "d_ff": c.dim_feedforward,
            "dropout": c.dropout,
            "norm_position": c.norm_position,
            "final_norm": c.final_norm,
            "norm_epsilon": c.norm_epsilon,
            "activation": c.activation,
            "attention_dropout": c.attention_dropout,
            "activation_dropout": c.activation_dropout,
            "attention_variant": c.attention,
            "dtype": self.dtype_policy,
        }

    def initializer(self):
        return keras.initializers.GlorotUniform()

    def build(self, input_shape=None):
        for table in dict.fromkeys((self.token_embedding, self.source_embedding)):
            table.build((None, None))
        for stack in (self.encoder, self.decoder):
            stack.build((None, None, self.config.d_model))
        if not self.config.tie_embeddings:
            self.output_projection.build((None, self.config.d_model))

    def encoded(self, input_ids, attention_mask=None, *, return_attention: bool = False, training=None):
        x = self._embed(self.source_embedding, input_ids, token_positions(input_ids, attention_mask), training)
        asked = {"return_attention": return_attention, "return_hidden_states": True, "training": training}
        return self.encoder(x, attention_mask=attention_mask, **asked)

    def run_decoder(self, ids, positions, columns, *, attention_mask=None, cache=None, training=None, **options):
        if cache is None:
            positions = token_positions(ids, attention_mask)
        x = self._embed(self.token_embedding, ids, positions, training)
        asked = {"return_hidden_states": True, "training": training, "cache": cache}
        return self.decoder(x, attention_mask=attention_mask, **asked, **options)

    def _embed(self, table: TokenEmbedding, ids, positions, training):
        """`(B, T)` to `(B, T, d_model)`."""
        x = table(ids) * self.config.d_model**0.5
        x = x + ops.cast(sinusoidal(positions, self.config.d_model), x.dtype)
        return self.embedding_drop(x, training=training)

    @property
    def prompt_vocab_size(self) -> int:
        return self.config.source_vocab_size or self.config.vocab_size

    def logits(self, hidden):
        return self.token_embedding.project(hidden) if self.config.tie_embeddings else self.output_projection(hidden)


def token_positions(ids, attention_mask):
    """The positions of ids `(B, T)`, `(T,)` or `(B, T)`: counted without padding, if a mask `(B, T)` tells of any."""
    if attention_mask is None or len(attention_mask.shape) > 2:
        return ops.arange(ops.shape(ids)[1], dtype="int32")
    return ops.maximum(ops.cumsum(ops.cast(attention_mask, "int32"), axis=1) - 1, 0)


# === Variants ===


@register_variant
def transformer_base(**overrides: Any) -> Transformer:
    """The paper's base model: 63.1 million parameters with a vocabulary of 37,000 tokens."""
    return Transformer(VARIANTS["transformer_base"], **overrides)


@register_variant
def transformer_big(**overrides: Any) -> Transformer:
    """The paper's big model: 214.2 million parameters with a vocabulary of 37,000 tokens."""
    return Transformer(VARIANTS["transformer_big"], **overrides)
