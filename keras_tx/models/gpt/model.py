"""GPT-1 and GPT-2 (Radford et al. 2018, 2019), LLaMA (Touvron et al. 2023) and its kin, a character model: all one."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import ops

from keras_tx.generation import GenerationMixin
from keras_tx.layers import Experts, PositionEmbedding, TokenEmbedding, TransformerBlock
from keras_tx.layers.attention.variants import MultiHead, SlidingWindow, variants_of
from keras_tx.layers.core.dropout import Dropout
from keras_tx.layers.core.norm import make_norm
from keras_tx.models.core.registry import register_model, register_variant
from keras_tx.models.core.text_heads import Backbone, CausalLanguageModel, known_length, take_positions
from keras_tx.models.gpt import huggingface as gpt
from keras_tx.models.gpt import llama
from keras_tx.models.gpt.config import TINY, TINY_LLAMA, VARIANTS, GPTConfig
from keras_tx.ops.attention.positions import sinusoidal

# === Models ===


class GPTBackbone(Backbone):
    """Embeddings, blocks and the final norm; a head makes a model of it.

    Args:
        config: a `GPTConfig`; GPT-2 small unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    config_class = GPTConfig
    config: GPTConfig
    formats: ClassVar = {"huggingface": (*gpt.FAMILIES, *llama.FAMILIES)}

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
        self.make_head()
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
            scale=self._attention_scale(index),
            causal=True,
            norm_position=c.norm_position,
            norm=c.norm,
            norm_epsilon=c.norm_epsilon,
            activation=c.activation,
            gated=c.gated,
            experts=c.experts,
            attention_dropout=c.attention_dropout,
            rotary=c.rotary if c.positions == "rotary" else None,
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
        """What the scores of a block are multiplied by, where it is not what attention does by itself."""
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

    def hidden(
        self,
        input_ids,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        *,
        cache=None,
        return_attention: bool = False,
        training=None,
    ) -> dict:
        """As of all backbones; with `cache`, also the new `"cache"`."""
        length = known_length(input_ids, self.config.max_positions, in_table=self.config.positions == "learned")
        if position_ids is None:
            start = 0 if cache is None else cache[0].fill
            position_ids = start + ops.arange(length, dtype="int32")
        x = self.token_embedding(input_ids)
        if self.config.positions == "learned":
            x = x + self.position_embedding(position_ids)
        elif self.config.positions == "sinusoidal":
            x = x + ops.cast(sinusoidal(position_ids, self.config.d_model), x.dtype)
        if token_type_ids is not None:
            x = x + self.token_embedding(token_type_ids)
        x = self.embedding_drop(x, training=training)
        states, maps, caches = [x], [], []
        for i, block in enumerate(self.blocks):
            result = block(
                x,
                attention_mask=attention_mask,
                positions=position_ids,
                cache=None if cache is None else cache[i],
                return_attention=return_attention,
                training=training,
            )
            x, *extras = result if isinstance(result, tuple) else (result,)
            if return_attention:
                maps.append(extras.pop(0))
            caches.extend(extras)
            states.append(x)
        if self.config.norm_position == "pre":
            states[-1] = self.final_norm(x)
        outputs = {"hidden_states": tuple(states)}
        if return_attention:
            outputs["attentions"] = tuple(maps)
        if cache is not None:
            outputs["cache"] = tuple(caches)
        return outputs


class GPTLanguageModel(CausalLanguageModel, GPTBackbone):
    """The language-model head: logits of the next token, by the transposed token table unless that is untied."""

    def make_head(self):
        if not self.config.tie_embeddings:
            self.output_projection = self.linear(self.config.vocab_size, "output_projection", use_bias=False)

    def build(self, input_shape=None):
        super().build(input_shape)
        if not self.config.tie_embeddings:
            self.output_projection.build((None, self.config.d_model))

    def logits(self, hidden):
        """`(..., d_model)` to `(..., vocab_size)`."""
        if self.config.tie_embeddings:
            return self.token_embedding.project(hidden)
        return self.output_projection(hidden)

    def head(self, x, given, training=None):
        return {"logits": self.logits(x)}


@register_model(
    TINY,
    TINY.replace(norm_position="post", scale_residual_init=False, activation="gelu"),
    TINY.replace(
        positions="rotary",
        d_model=18,
        num_kv_heads=1,
        tie_embeddings=False,
        use_bias=False,
        attention=(SlidingWindow(window_size=3), MultiHead()),
    ),
    TINY.replace(positions="sinusoidal", d_model=18, gated=True, experts=Experts(num_experts=3, capacity_factor=1.1)),
    TINY_LLAMA,
)
class GPTModel(GenerationMixin, GPTLanguageModel):
    """A GPT language model.

    `model(input_ids)` gives `{"logits": (B, T, vocab_size)}`; with `labels`, also `"loss"`: the mean cross-entropy,
    in nats, of each token given those before it.

    Args:
        config: a `GPTConfig`; GPT-2 small unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    def call(
        self,
        inputs,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        labels=None,
        cache=None,
        return_attention: bool = False,
        return_hidden_states: bool = False,
        training=None,
    ):
        """Logits for the token after each one.

        Args:
            inputs: ids `(B, T)`, or a dict of any of the tensors below with `"input_ids"`.
            attention_mask: `(B, T)`, 0 at padding, on either side; or `(B, T, T)`, for each token 0 at those it shall
                not see. With a cache, `(B, S)` or `(B, T, S)` over its slots.
            token_type_ids: `(B, T)`, tokens whose embeddings are added.
            position_ids: `(B, T)`; counted from 0, or from the cache's fill, without regard to padding, unless
                given.
            labels: `(B, T)`, the ids themselves, -100 where they shall not count; they are shifted here.
            cache: from `init_cache`, one a block.
            return_attention: also return the attention maps, `"attentions"`: of every block, `(B, H, T, S)`.
            return_hidden_states: also return `"hidden_states"`: the embeddings, then each block's output, the last
                one after the final norm; `(B, T, d_model)` each.
            training: whether dropout is active.

        Returns:
            A dict with `"logits"`, and `"loss"`, `"cache"`, `"attentions"`, `"hidden_states"` as asked for.

        Raises:
            ValueError: for ids that are not `(batch, length)` integers, or known to lie outside the vocabulary; for
                more positions than `max_positions`; for other inputs that do not fit the ids.
        """
        return self.answer(
            inputs,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            labels=labels,
            cache=cache,
            return_attention=return_attention,
            return_hidden_states=return_hidden_states,
            training=training,
        )

    def _prepare(self, input_ids, attention_mask, generation_config, options):
        config, ids, mask = super()._prepare(input_ids, attention_mask, generation_config, options)
        counting = [type(variant).__name__ for variant in variants_of(self.config.attention) if variant.by_distance]
        if counting and not ops.convert_to_numpy(mask)[:, -1].all():
            raise ValueError(
                f"{counting[0]} attention counts how far apart tokens stand: pad prompts on the left, so that "
                "`attention_mask` ends with 1 in each row."
            )
        return config, ids, mask

    def init_cache(self, batch_size, length: int):
        """An empty key/value cache for `length` positions, one entry a block."""
        return tuple(block.init_cache(batch_size, length) for block in self.blocks)

    def decode_step(self, ids, position_ids, attention_mask, cache, last):
        """Logits after position `last`, `(B,)`, of each row of `ids`, `(B, T)`: `(B, vocab_size)`, and the cache."""
        outputs = self.hidden(ids, attention_mask, position_ids=position_ids, cache=cache)
        return self.logits(take_positions(outputs["hidden_states"][-1], last)), outputs["cache"]


# === Variants ===


@register_variant
def gpt_small(**overrides: Any) -> GPTModel:
    """GPT-1: 116.5 million parameters."""
    return GPTModel(VARIANTS["gpt_small"], **overrides)


@register_variant
def gpt2_small(**overrides: Any) -> GPTModel:
    """GPT-2 small: 124.4 million parameters."""
    return GPTModel(VARIANTS["gpt2_small"], **overrides)


@register_variant
def gpt2_medium(**overrides: Any) -> GPTModel:
    """GPT-2 medium: 354.8 million parameters."""
    return GPTModel(VARIANTS["gpt2_medium"], **overrides)


@register_variant
def gpt2_large(**overrides: Any) -> GPTModel:
    """GPT-2 large: 774.0 million parameters."""
    return GPTModel(VARIANTS["gpt2_large"], **overrides)


@register_variant
def gpt2_xl(**overrides: Any) -> GPTModel:
    """GPT-2 XL: 1557.6 million parameters."""
    return GPTModel(VARIANTS["gpt2_xl"], **overrides)


@register_variant
def llama2_7b(**overrides: Any) -> GPTModel:
    """LLaMA 2 7B: 6.7 billion parameters."""
    return GPTModel(VARIANTS["llama2_7b"], **overrides)


@register_variant
def llama2_13b(**overrides: Any) -> GPTModel:
    """LLaMA 2 13B: 13.0 billion parameters."""
    return GPTModel(VARIANTS["llama2_13b"], **overrides)


@register_variant
def llama2_70b(**overrides: Any) -> GPTModel:
    """LLaMA 2 70B: 69.0 billion parameters."""
    return GPTModel(VARIANTS["llama2_70b"], **overrides)


@register_variant
def llama3_8b(**overrides: Any) -> GPTModel:
    """LLaMA 3 8B: 8.0 billion parameters."""
    return GPTModel(VARIANTS["llama3_8b"], **overrides)


@register_variant
def llama3_70b(**overrides: Any) -> GPTModel:
    """LLaMA 3 70B: 70.6 billion parameters."""
    return GPTModel(VARIANTS["llama3_70b"], **overrides)


@register_variant
def llama3_2_1b(**overrides: Any) -> GPTModel:
    """LLaMA 3.2 1B: 1.2 billion parameters."""
    return GPTModel(VARIANTS["llama3_2_1b"], **overrides)


@register_variant
def llama3_2_3b(**overrides: Any) -> GPTModel:
    """LLaMA 3.2 3B: 3.2 billion parameters."""
    return GPTModel(VARIANTS["llama3_2_3b"], **overrides)


@register_variant
def gpt_char(**overrides: Any) -> GPTModel:
    """A character model of 6 layers, 6 heads and width 384: 10.7 million parameters with 65 characters."""
    return GPTModel(VARIANTS["gpt_char"], **overrides)
