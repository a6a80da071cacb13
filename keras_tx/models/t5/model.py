"""T5 (Raffel et al. 2020) and its version 1.1: an encoder-decoder that does every task from text to text."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import ops

from keras_tx.layers import BucketedPositionBias, TokenEmbedding, TransformerDecoder, TransformerEncoder
from keras_tx.layers.core.dropout import Dropout
from keras_tx.models.core.registry import register_model, register_variant
from keras_tx.models.core.seq2seq import EncoderDecoder, Seq2SeqLanguageModel
from keras_tx.models.core.text_heads import Backbone
from keras_tx.models.t5.config import TINY, VARIANTS, T5Config
from keras_tx.models.t5.huggingface import T5

# === Backbones ===


class T5Encoder(Backbone):
    """The token table and the encoder, which all of T5's models have.

    Args:
        config: a `T5Config`; T5 small unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    config_class = T5Config
    config: T5Config

    def __init__(self, config: T5Config | None = None, *, name: str | None = None, dtype=None, **overrides: Any):
        super().__init__(config, name=name, dtype=dtype, **overrides)
        c = self.config
        self.token_embedding = TokenEmbedding(
            c.vocab_size, c.d_model, initializer=self.normal(), dtype=self.dtype_policy, name="token_embedding"
        )
        self.drop = Dropout(c.dropout, dtype=self.dtype_policy, name="drop")
        self.make_stacks()
        self.make_head()
        self.build()

    def make_stacks(self) -> None:
        """Makes the stacks, and the position bias that all blocks of one share."""
        self.encoder_bias = self.position_bias("encoder_bias", bidirectional=True)
        self.encoder = TransformerEncoder(self.config.num_layers, name="encoder", **self.stack_options())

    def position_bias(self, name: str, bidirectional: bool) -> BucketedPositionBias:
        c = self.config
        return BucketedPositionBias(
            c.num_heads,
            c.num_buckets,
            c.max_distance,
            bidirectional=bidirectional,
            initializer=self.normal(c.d_model**-0.5),
            dtype=self.dtype_policy,
            name=name,
        )

    def stack_options(self) -> dict[str, Any]:
        """What both stacks are made with. Queries start smaller, for the scores are not divided by sqrt(d_kv)."""
        c = self.config
        return {
            "d_model": c.d_model,
            "num_heads": c.num_heads,
            "d_ff": c.d_ff,
            "dropout": c.dropout,
            "head_dim": c.d_kv,
            "scale": 1.0,
            "norm_position": "pre",
            "norm": "rms",
            "norm_epsilon": c.norm_epsilon,
            "activation": c.activation,
            "gated": c.gated,
            "attention_dropout": c.dropout,
            "attention_variant": c.attention,
            "activation_dropout": c.dropout,
            "use_bias": False,
            "kernel_initializer": self.initializer(),
            "query_initializer": self.initializer(c.d_kv**-0.5),
            # What the feed-forward networks of the published models give is too large for float16.
            "residual_dtype": "float32" if self.compute_dtype == "float16" else None,
            "dtype": self.dtype_policy,
        }

    def normal(self, stddev: float = 1.0):
        """Of tables."""
        return keras.initializers.RandomNormal(stddev=stddev * self.config.initializer_factor)

    def initializer(self, scale: float = 1.0):
        """Of kernels: a normal distribution of standard deviation `scale / sqrt(width of the input)`."""
        variance = (scale * self.config.initializer_factor) ** 2
        return keras.initializers.VarianceScaling(variance, "fan_in", "untruncated_normal")

    def build(self, input_shape=None):
        self.token_embedding.build((None, None))
        self.encoder_bias.build()
        self.encoder.build((None, None, self.config.d_model))

    def encoded(
        self, input_ids, attention_mask=None, position_ids=None, *, return_attention: bool = False, training=None
    ) -> dict:
        """The encoder's `"hidden_states"`; with `return_attention`, also its `"attentions"`."""
        positions = ops.arange(ops.shape(input_ids)[1], dtype="int32") if position_ids is None else position_ids
        bias = self.encoder_bias(positions, positions)
        asked = {"return_attention": return_attention, "training": training}
        return self.through(self.encoder, input_ids, bias, attention_mask=attention_mask, **asked)

    def through(self, stack, ids, bias, *, training=None, **options) -> dict:
        """What a stack gives of ids, with hidden states; dropout before and after."""
        x = self.drop(self.token_embedding(ids), training=training)
        outputs = stack(x, bias=bias, return_hidden_states=True, training=training, **options)
        *states, last = outputs["hidden_states"]
        del outputs["output"]
        return outputs | {"hidden_states": (*states, self.drop(last, training=training))}


class T5Backbone(T5Encoder, EncoderDecoder):
    """The token table and both stacks.

    Args:
        config: a `T5Config`; T5 small unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    formats: ClassVar = {"huggingface": (T5,)}

    def make_stacks(self):
        super().make_stacks()
        layers = self.config.num_decoder_layers or self.config.num_layers
        self.decoder_bias = self.position_bias("decoder_bias", bidirectional=False)
        self.decoder = TransformerDecoder(layers, name="decoder", **self.stack_options())

    def build(self, input_shape=None):
        super().build(input_shape)
        self.decoder_bias.build()
        self.decoder.build((None, None, self.config.d_model))

    def run_decoder(self, ids, positions, columns, *, training=None, **options):
        return self.through(self.decoder, ids, self.decoder_bias(positions, columns), training=training, **options)


# === The language model ===


@register_model(TINY.replace(gated=True, activation="gelu_tanh", tie_embeddings=False))
class T5Model(Seq2SeqLanguageModel, T5Backbone):
    """T5: a target text given a source text.

    `model(input_ids, decoder_input_ids)` gives `{"logits": (B, T, vocab_size)}`; with `labels`, `(B, T)`, which are
    shifted right where there are no `decoder_input_ids`, also `"loss"`: their mean cross-entropy in nats, -100 not
    counting.

    Args:
        config: a `T5Config`; T5 small unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    def make_head(self):
        if not self.config.tie_embeddings:
            self.output_projection = self.linear(self.config.vocab_size, "output_projection", use_bias=False)
            self.output_projection.kernel_initializer = self.normal()

    def build(self, input_shape=None):
        super().build(input_shape)
        if not self.config.tie_embeddings:
            self.output_projection.build((None, self.config.d_model))

    def logits(self, hidden):
        if self.config.scales_output:
            hidden = hidden * ops.cast(self.config.d_model**-0.5, hidden.dtype)
        return self.token_embedding.project(hidden) if self.config.tie_embeddings else self.output_projection(hidden)


# === Variants ===


@register_variant
def t5_small(**overrides: Any) -> T5Model:
    """T5 small: 60.5 million parameters."""
    return T5Model(VARIANTS["t5_small"], **overrides)


@register_variant
def t5_base(**overrides: Any) -> T5Model:
    """T5 base: 222.9 million parameters."""
    return T5Model(VARIANTS["t5_base"], **overrides)


@register_variant
def t5_large(**overrides: Any) -> T5Model:
    """T5 large: 737.7 million parameters."""
    return T5Model(VARIANTS["t5_large"], **overrides)


@register_variant
def t5_xl(**overrides: Any) -> T5Model:
    """T5 3B: 2851.6 million parameters."""
    return T5Model(VARIANTS["t5_xl"], **overrides)


@register_variant
def t5_xxl(**overrides: Any) -> T5Model:
    """T5 11B: 11307.3 million parameters."""
    return T5Model(VARIANTS["t5_xxl"], **overrides)


@register_variant
def t5_v1_1_small(**overrides: Any) -> T5Model:
    """T5 small of version 1.1: 77.0 million parameters."""
    return T5Model(VARIANTS["t5_v1_1_small"], **overrides)


@register_variant
def t5_v1_1_base(**overrides: Any) -> T5Model:
    """T5 base of version 1.1: 247.6 million parameters."""
    return T5Model(VARIANTS["t5_v1_1_base"], **overrides)


@register_variant
def t5_v1_1_large(**overrides: Any) -> T5Model:
    """T5 large of version 1.1: 783.2 million parameters."""
    return T5Model(VARIANTS["t5_v1_1_large"], **overrides)


@register_variant
def t5_v1_1_xl(**overrides: Any) -> T5Model:
    """T5 XL of version 1.1: 2849.8 million parameters."""
    return T5Model(VARIANTS["t5_v1_1_xl"], **overrides)


@register_variant
def t5_v1_1_xxl(**overrides: Any) -> T5Model:
    """T5 XXL of version 1.1: 11135.3 million parameters."""
    return T5Model(VARIANTS["t5_v1_1_xxl"], **overrides)
