"""BERT (Devlin et al. 2018): a bidirectional encoder of texts and of pairs of texts."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import keras
from keras import ops

from keras_tx.layers import AttentionConfig, PositionEmbedding, TokenEmbedding, TransformerBlock
from keras_tx.layers.attention.variants import Pattern
from keras_tx.layers.core.dropout import Dropout
from keras_tx.models.bert.huggingface import FAMILIES as CHECKPOINTS
from keras_tx.models.core.base import text_inputs
from keras_tx.models.core.config import TextConfig
from keras_tx.models.core.registry import register_model, register_variant
from keras_tx.models.core.text_heads import Backbone, known_length
from keras_tx.ops.checks import require_below, require_divides, require_positive, require_rate

# === Config ===


@dataclasses.dataclass(frozen=True, kw_only=True)
class BERTConfig(TextConfig):
    """A bidirectional encoder; the defaults are BERT base, uncased."""

    vocab_size: int = 30522
    max_positions: int = 512
    """The longest sequence: rows of the position table."""
    type_vocab_size: int = 2
    """Kinds of tokens: of the first text, of the second."""
    num_layers: int = 12
    num_heads: int = 12
    attention: Pattern = None
    """Another self-attention, as `AttentionConfig.of` takes it, or several for the layers in turn; None for multi-head
    attention."""
    d_model: int = 768
    d_ff: int = 3072
    """Width inside the feed-forward network."""
    activation: str = "gelu"
    """Of the feed-forward network and of the masked language model's head."""
    norm_epsilon: float = 1e-12
    hidden_dropout: float = 0.1
    """On the embeddings and on each residual branch."""
    attention_dropout: float = 0.1
    classifier_dropout: float | None = None
    """Before a classifier; None for `hidden_dropout`."""
    tie_embeddings: bool = True
    """Whether a masked language model's output projection is the transposed token table, as it has to be here."""
    initializer_range: float = 0.02
    """Standard deviation of every kernel and table at the start."""
    pad_token_id: int | None = 0

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "attention", AttentionConfig.of(self.attention, self.num_layers))
        require_positive(
            vocab_size=self.vocab_size,
            max_positions=self.max_positions,
            type_vocab_size=self.type_vocab_size,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            d_model=self.d_model,
            d_ff=self.d_ff,
        )
        require_divides(self.d_model, self.num_heads, "d_model", "num_heads")
        require_rate(
            hidden_dropout=self.hidden_dropout,
            attention_dropout=self.attention_dropout,
            classifier_dropout=self.classifier_dropout or 0.0,
        )


VARIANTS = {
    "bert_base": BERTConfig(),
    "bert_large": BERTConfig(num_layers=24, num_heads=16, d_model=1024, d_ff=4096),
}
"""Devlin et al. 2018, section 3; vocabulary and positions are those of the published uncased models."""

TINY = BERTConfig(vocab_size=61, max_positions=37, type_vocab_size=3, num_layers=2, num_heads=3, d_model=15, d_ff=29)


# === Models ===


class BERTBackbone(Backbone):
    """Embeddings and blocks; a head makes a model of it.

    Args:
        config: a `BERTConfig`; BERT base unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    config_class = BERTConfig
    config: BERTConfig
    formats: ClassVar = {"huggingface": CHECKPOINTS}

    def __init__(self, config: BERTConfig | None = None, *, name: str | None = None, dtype=None, **overrides: Any):
        super().__init__(config, name=name, dtype=dtype, **overrides)
        c = self.config
        self.token_embedding = self._table(TokenEmbedding, c.vocab_size, "token_embedding")
        self.token_type_embedding = self._table(TokenEmbedding, c.type_vocab_size, "token_type_embedding")
        self.position_embedding = self._table(PositionEmbedding, c.max_positions, "position_embedding")
        self.embedding_norm = self.norm("embedding_norm")
        self.embedding_drop = Dropout(c.hidden_dropout, dtype=self.dtype_policy, name="embedding_drop")
        self.blocks = [self._block(i) for i in range(c.num_layers)]
        self.make_head()
        self.build()

    def _table(self, cls: type, rows: int, name: str):
        return cls(rows, self.config.d_model, initializer=self.initializer(), dtype=self.dtype_policy, name=name)

    def _block(self, index: int) -> TransformerBlock:
        c = self.config
        return TransformerBlock(
            c.d_model,
            c.num_heads,
            c.d_ff,
            c.hidden_dropout,
            norm_position="post",
            norm_epsilon=c.norm_epsilon,
            activation=c.activation,
            attention_dropout=c.attention_dropout,
            attention_variant=c.attention,
            layer_index=index,
            kernel_initializer=self.initializer(),
            dtype=self.dtype_policy,
            name=f"block_{index}",
        )

    def norm(self, name: str) -> keras.layers.LayerNormalization:
        """A layer norm of the backbone's width."""
        return keras.layers.LayerNormalization(epsilon=self.config.norm_epsilon, dtype=self.dtype_policy, name=name)

    def initializer(self):
        return keras.initializers.RandomNormal(stddev=self.config.initializer_range)

    def classifier_rate(self):
        rate = self.config.classifier_dropout
        return self.config.hidden_dropout if rate is None else rate

    def build(self, input_shape=None):
        hidden = (None, None, self.config.d_model)
        for table in (self.token_embedding, self.token_type_embedding, self.position_embedding):
            table.build((None, None))
        self.embedding_norm.build(hidden)
        for block in self.blocks:
            block.build(hidden)

    def input_signature(self):
        shape = (None, None, None) if self.choices else (None, None)
        names = ("input_ids", "attention_mask", "token_type_ids")
        return {name: keras.InputSpec(name=name, shape=shape, dtype="int32") for name in names}

    def hidden(
        self,
        input_ids,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        *,
        return_attention: bool = False,
        training=None,
    ) -> dict:
        x = self.embed(input_ids, token_type_ids, position_ids)
        x = self.embedding_drop(x, training=training)
        states, maps = [x], list[Any]()
        for block in self.blocks:
            result = block(x, attention_mask=attention_mask, return_attention=return_attention, training=training)
            x, *weights = result if return_attention else (result,)
            states.append(x)
            maps.extend(weights)
        outputs = {"hidden_states": tuple(states)}
        return outputs | ({"attentions": tuple(maps)} if return_attention else {})

    def embed(self, ids, token_type_ids=None, position_ids=None):
        """The sum of a vector for each token, its type and its position, normalized: `(B, T, d_model)`."""
        length = known_length(ids, self.config.max_positions)
        if position_ids is None:
            position_ids = ops.arange(length, dtype="int32")
        if token_type_ids is None:
            token_type_ids = ops.zeros_like(ids)
        require_below(token_type_ids, self.config.type_vocab_size, "token_type_ids", "type_vocab_size")
        x = self.token_embedding(ids) + self.token_type_embedding(token_type_ids)
        return self.embedding_norm(x + self.position_embedding(position_ids))


class BERTPooled(BERTBackbone):
    """A backbone with the pooler, which makes one vector of a sequence."""

    padding_sides = ("right",)  # the first token is the one at position 0, as in Transformers

    def make_head(self):
        super().make_head()
        self.pooler = self.linear(self.config.d_model, "pooler")

    def build(self, input_shape=None):
        super().build(input_shape)
        self.pooler.build((None, self.config.d_model))

    def pool(self, x):
        """The first token's hidden state, mapped: `(B, T, d_model)` to `(B, d_model)`."""
        return ops.tanh(self.pooler(x[:, 0]))


@register_model(TINY)
class BERTModel(BERTPooled):
    """BERT without a head.

    `sequence_output, pooled_output = model(input_ids)`: the last hidden states, `(B, T, d_model)`, and a vector of
    the whole sequence, `(B, d_model)`, made of its first token's.

    Args:
        config: a `BERTConfig`; BERT base unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    targets: ClassVar = {}

    @property
    def output_keys(self):
        return ("sequence_output", "pooled_output")

    def call(
        self,
        inputs,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        return_attention: bool = False,
        return_hidden_states: bool = False,
        training=None,
    ):
        """As `Labelled.call` takes its inputs, without labels.

        Returns:
            The sequence output and the pooled output; with `return_attention`, then a tuple of every block's map,
            `(B, H, T, T)`; with `return_hidden_states`, then a tuple of the embeddings and each block's output.
        """
        tokens = {"attention_mask": attention_mask, "token_type_ids": token_type_ids, "position_ids": position_ids}
        given = text_inputs(inputs, **tokens)
        outputs = self.hidden(**given, return_attention=return_attention, training=training)
        states = outputs["hidden_states"]
        extras = [outputs["attentions"]] if return_attention else []
        return (states[-1], self.pool(states[-1]), *extras, *([states] if return_hidden_states else []))


# === Variants ===


@register_variant
def bert_base(**overrides: Any) -> BERTModel:
    """BERT base: 109.5 million parameters."""
    return BERTModel(VARIANTS["bert_base"], **overrides)


@register_variant
def bert_large(**overrides: Any) -> BERTModel:
    """BERT large: 335.1 million parameters."""
    return BERTModel(VARIANTS["bert_large"], **overrides)
