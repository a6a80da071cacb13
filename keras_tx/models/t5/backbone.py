"""T5's backbones (Raffel et al. 2020): the encoder alone, and both stacks."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import ops

from keras_tx.layers import BucketedPositionBias, TokenEmbedding, TransformerDecoder, TransformerEncoder
from keras_tx.layers.core.dropout import Dropout
from keras_tx.models.core.backbone import Backbone, TextBackbone
from keras_tx.models.core.registry import register_model
from keras_tx.models.core.seq2seq import EncoderDecoderBackbone
from keras_tx.models.t5 import huggingface, keras_hub
from keras_tx.models.t5.config import TINY, T5Config


class T5Layers(Backbone):
    """The base of both backbones: the token table, the encoder, and the position biases that a stack's blocks share."""

    config_class = T5Config
    config: T5Config

    def __init__(self, config: T5Config | None = None, *, name: str | None = None, dtype=None, **overrides: Any):
        super().__init__(config, name=name, dtype=dtype, **overrides)
        c = self.config
        self.token_embedding = TokenEmbedding(
            c.vocab_size, c.d_model, initializer=self.normal(), dtype=self.dtype_policy, name="token_embedding"
        )
        self.drop = Dropout(c.dropout, dtype=self.dtype_policy, name="drop")
        self.encoder_bias = self.position_bias("encoder_bias", bidirectional=True)
        self.encoder = TransformerEncoder(c.num_layers, name="encoder", **self.stack_options())

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
        """Returns the arguments of both stacks. Queries start smaller, for the scores are not divided by sqrt(d_kv)."""
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
        """A new initializer of tables."""
        return keras.initializers.RandomNormal(stddev=stddev * self.config.initializer_factor)

    def initializer(self, scale: float = 1.0):
        """A new initializer of kernels: normal, of standard deviation `scale / sqrt(width of the input)`."""
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
        """Returns a stack's outputs for ids, with hidden states; there is dropout before and after."""
        x = self.drop(self.token_embedding(ids), training=training)
        outputs = stack(x, bias=bias, return_hidden_states=True, training=training, **options)
        *states, last = outputs["hidden_states"]
        del outputs["output"]
        return outputs | {"hidden_states": (*states, self.drop(last, training=training))}


@register_model(TINY)
class T5EncoderModel(T5Layers, TextBackbone):
    """T5's encoder: `model(input_ids)` gives `{"last_hidden_state": (B, T, d_model)}`."""

    formats: ClassVar = {"huggingface": (huggingface.T5_ENCODER,), "keras_hub": (keras_hub.T5_ENCODER,)}
    input_names: tuple[str, ...] = ("input_ids", "attention_mask", "position_ids")

    def __init__(self, config: T5Config | None = None, *, name: str | None = None, dtype=None, **overrides: Any):
        super().__init__(config, name=name, dtype=dtype, **overrides)
        self.build()

    def hidden(self, inputs, **asked):
        outputs = self.encoded(**inputs, **asked)
        return {"last_hidden_state": outputs["hidden_states"][-1], **outputs}


@register_model()
class T5Backbone(T5Layers, EncoderDecoderBackbone):
    """T5 without a head: both stacks, which share the token table."""

    formats: ClassVar = {"huggingface": (huggingface.T5,), "keras_hub": (keras_hub.T5,)}

    def __init__(self, config: T5Config | None = None, *, name: str | None = None, dtype=None, **overrides: Any):
        super().__init__(config, name=name, dtype=dtype, **overrides)
        layers = self.config.num_decoder_layers or self.config.num_layers
        self.decoder_bias = self.position_bias("decoder_bias", bidirectional=False)
        self.decoder = TransformerDecoder(layers, name="decoder", **self.stack_options())
        self.build()

    def build(self, input_shape=None):
        super().build(input_shape)
        self.decoder_bias.build()
        self.decoder.build((None, None, self.config.d_model))

    def run_decoder(self, ids, positions, columns, *, training=None, **options):
        return self.through(self.decoder, ids, self.decoder_bias(positions, columns), training=training, **options)
