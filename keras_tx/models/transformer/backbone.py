"""The Transformer's backbone: embeddings with sinusoidal positions, and both stacks."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_tx.layers import TokenEmbedding, TransformerDecoder, TransformerEncoder
from keras_tx.layers.core.dropout import Dropout
from keras_tx.models.core.registry import register_model
from keras_tx.models.core.seq2seq import EncoderDecoderBackbone
from keras_tx.models.transformer.config import TransformerConfig
from keras_tx.ops.attention.positions import sinusoidal


@register_model()
class TransformerBackbone(EncoderDecoderBackbone):
    """The Transformer without a head.

    Positions are sinusoids, sine at even channels and cosine at odd ones, counted without padding. Embeddings are
    multiplied by sqrt(d_model).
    """

    config_class = TransformerConfig
    config: TransformerConfig

    def __init__(
        self, config: TransformerConfig | None = None, *, name: str | None = None, dtype=None, **overrides: Any
    ):
        super().__init__(config, name=name, dtype=dtype, **overrides)
        c = self.config
        self.token_embedding = self._table(c.vocab_size, "token_embedding")
        self.source_embedding = self.token_embedding
        if c.source_vocab_size is not None:
            self.source_embedding = self._table(c.source_vocab_size, "source_embedding")
        self.embedding_drop = Dropout(c.dropout, dtype=self.dtype_policy, name="embedding_drop")
        self.encoder = TransformerEncoder(c.num_layers, name="encoder", **self._stack_options())
        self.decoder = TransformerDecoder(c.num_decoder_layers or c.num_layers, name="decoder", **self._stack_options())
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


def token_positions(ids, attention_mask):
    """The positions of ids `(B, T)`, `(T,)` or `(B, T)`: counted without padding, if a mask `(B, T)` tells of any."""
    if attention_mask is None or len(attention_mask.shape) > 2:
        return ops.arange(ops.shape(ids)[1], dtype="int32")
    return ops.maximum(ops.cumsum(ops.cast(attention_mask, "int32"), axis=1) - 1, 0)
