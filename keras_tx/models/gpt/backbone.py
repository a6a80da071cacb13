"""GPT's backbone: embeddings, blocks and the final norm, of GPT-1 and GPT-2, LLaMA and its kin."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import ops

from keras_tx.layers import PositionEmbedding, TokenEmbedding, TransformerBlock
from keras_tx.layers.core.dropout import Dropout
from keras_tx.layers.core.norm import make_norm
from keras_tx.models.core.backbone import TextBackbone, run_blocks
from keras_tx.models.core.inputs import known_length
from keras_tx.models.core.registry import register_model
from keras_tx.models.gpt import huggingface, keras_hub, llama
from keras_tx.models.gpt.config import GPTConfig
from keras_tx.ops.attention.positions import sinusoidal


@register_model()
class GPTBackbone(TextBackbone):
    """GPT without a head: `backbone(input_ids)` gives `{"last_hidden_state": (B, T, d_model)}`."""

    config_class = GPTConfig
    has_cache = True
    config: GPTConfig
    formats: ClassVar = {
        "huggingface": (*huggingface.FAMILIES, *llama.FAMILIES),
        "keras_hub": keras_hub.FAMILIES,
    }

    def __init__(self, config: GPTConfig | None = None, *, name: str | None = None, dtype=None, **overrides: Any):
        super().__init__(config, name=name, dtype=dtype, **overrides)
        c = self.config
        table = {"initializer": self.initializer(), "dtype": self.dtype_policy}
        self.token_embedding = TokenEmbedding(c.vocab_size, c.d_model, name="token_embedding", **table)
        if c.positions == "learned":
            table["initializer"] = self.initializer()
            self.position_embedding = PositionEmbedding(c.max_positions, c.d_model, name="position_embedding", **table)
        self.embedding_drop = Dropout(c.embedding_dropout, dtype=self.dtype_policy, name="embedding_drop")
        self.blocks = [self._block(i) for i in range(c.num_layers)]
        if c.norm_position == "pre":
            self.final_norm = make_norm(c.norm, c.norm_epsilon, dtype=self.dtype_policy, name="final_norm")
        self.build()

    def _block(self, index: int) -> TransformerBlock:
        c = self.config
        return TransformerBlock(
            c.d_model,
            c.num_heads,
            c.d_ff,
            c.residual_dropout,
            num_kv_heads=c.num_kv_heads,
            head_dim=c.head_dim,
            causal=True,
            norm_position=c.norm_position,
            norm=c.norm,
            norm_epsilon=c.norm_epsilon,
            activation=c.activation,
            gated=c.gated,
            experts=c.experts,
            attention_dropout=c.attention_dropout,
            rotary=c.rotary if c.positions == "rotary" else None,
            scale=self._attention_scale(index),
            attention_variant=c.attention,
            layer_index=index,
            use_bias=c.use_bias,
            feed_forward_bias=c.feed_forward_bias,
            kernel_initializer=self.initializer(),
            output_initializer=self.initializer((2 * c.num_layers) ** -0.5 if c.scale_residual_init else 1.0),
            dtype=self.dtype_policy,
            name=f"block_{index}",
        )

    def _attention_scale(self, index: int) -> float | None:
        """Returns the factor of a block's scores, where it is not attention's own."""
        c = self.config
        if c.scale_attention and not c.scale_attention_by_layer:
            return None
        scale = (c.head_dim or c.d_model // c.num_heads) ** -0.5 if c.scale_attention else 1.0
        return scale / (index + 1) if c.scale_attention_by_layer else scale

    def initializer(self, scale: float = 1.0):
        return keras.initializers.RandomNormal(stddev=self.config.initializer_range * scale)

    def build(self, input_shape=None):
        ids, hidden = (None, None), (None, None, self.config.d_model)
        self.token_embedding.build(ids)
        if self.config.positions == "learned":
            self.position_embedding.build(ids)
        for block in self.blocks:
            block.build(hidden)
        if self.config.norm_position == "pre":
            self.final_norm.build(hidden)

    @property
    def max_positions(self):
        return self.config.max_positions

    def hidden(self, inputs, *, cache=None, training=None, **asked):
        ids, position_ids = inputs["input_ids"], inputs["position_ids"]
        length = known_length(ids, self.config.max_positions, in_table=self.config.positions == "learned")
        if position_ids is None:
            start = 0 if cache is None else cache[0].fill
            position_ids = start + ops.arange(length, dtype="int32")
        x = self.embedding_drop(self._embed(ids, inputs["token_type_ids"], position_ids), training=training)
        outputs = run_blocks(
            self.blocks,
            x,
            cache=cache,
            attention_mask=inputs["attention_mask"],
            positions=position_ids,
            training=training,
            **asked,
        ).named
        *states, last = outputs["hidden_states"]
        last = self.final_norm(last) if self.config.norm_position == "pre" else last
        return {"last_hidden_state": last, **outputs, "hidden_states": (*states, last)}

    def _embed(self, ids, token_type_ids, position_ids):
        """`(B, T)` to `(B, T, d_model)`."""
        x = self.token_embedding(ids)
        if self.config.positions == "learned":
            x = x + self.position_embedding(position_ids)
        elif self.config.positions == "sinusoidal":
            x = x + ops.cast(sinusoidal(position_ids, self.config.d_model), x.dtype)
        return x if token_type_ids is None else x + self.token_embedding(token_type_ids)

    def init_cache(self, batch_size, length: int):
        return tuple(block.init_cache(batch_size, length) for block in self.blocks)
