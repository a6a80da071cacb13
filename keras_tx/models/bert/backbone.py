"""BERT's backbone (Devlin et al. 2018): embeddings, blocks, and a pooler where a head asks for one."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import ops

from keras_tx.layers import PositionEmbedding, TokenEmbedding, TransformerBlock
from keras_tx.layers.core.dropout import Dropout
from keras_tx.layers.core.linear import Linear
from keras_tx.models.bert import huggingface, keras_hub
from keras_tx.models.bert.config import BERTConfig
from keras_tx.models.core.backbone import TextBackbone, run_blocks
from keras_tx.models.core.inputs import known_length
from keras_tx.models.core.registry import register_model
from keras_tx.ops.checks import require_below


@register_model()
class BERTBackbone(TextBackbone):
    """BERT's encoder.

    `backbone(input_ids)` gives `{"last_hidden_state": (B, T, d_model), "pooler_output": (B, d_model)}`, the
    latter, of a backbone with a pooler, a vector of the whole text, made of its first token's.

    Args:
        config: a `BERTConfig`; BERT base unless given.
        pooler: whether there is one; there is unless given, in the families that have it.
        name, dtype, overrides: as `Model` takes them.

    Raises:
        ValueError: for a pooler in a family that has none.
    """

    config_class = BERTConfig
    config: BERTConfig
    formats: ClassVar = {"huggingface": huggingface.FAMILIES, "keras_hub": keras_hub.FAMILIES}
    has_pooler: ClassVar[bool] = True
    """Whether there may be a pooler."""

    def __init__(
        self,
        config: BERTConfig | None = None,
        *,
        pooler: bool | None = None,
        name: str | None = None,
        dtype=None,
        **overrides: Any,
    ):
        super().__init__(config, name=name, dtype=dtype, **overrides)
        if pooler and not self.has_pooler:
            raise ValueError(f"a {type(self).__name__} has no pooler: leave out `pooler`.")
        c = self.config
        self.token_embedding = self._table(TokenEmbedding, c.vocab_size, "token_embedding")
        self.token_type_embedding = None
        if c.type_vocab_size:
            self.token_type_embedding = self._table(TokenEmbedding, c.type_vocab_size, "token_type_embedding")
        self.position_embedding = None
        if c.has_position_table:
            self.position_embedding = self._table(PositionEmbedding, c.max_positions, "position_embedding")
        self.embedding_norm: Any = self._norm("embedding_norm") if c.normalizes_embeddings else None
        self.embedding_drop = Dropout(c.embedding_dropout, dtype=self.dtype_policy, name="embedding_drop")
        self.embedding_projection = None
        if c.projects_embeddings:
            self.embedding_projection = self._linear("embedding_projection")
        self.blocks = [self._block(i) for i in range(self.num_blocks)]
        self.final_norm = self._norm("final_norm") if c.norm_position == "pre" else None
        self.pooler = self._linear("pooler") if (pooler is None and self.has_pooler) or pooler else None
        self.build()

    def _table(self, cls: type, rows: int, name: str):
        width = self.config.embedding_width
        return cls(rows, width, initializer=self.initializer(), dtype=self.dtype_policy, name=name)

    def _linear(self, name: str) -> Linear:
        return Linear(self.config.d_model, kernel_initializer=self.initializer(), dtype=self.dtype_policy, name=name)

    def _norm(self, name: str) -> keras.layers.LayerNormalization:
        return keras.layers.LayerNormalization(epsilon=self.config.norm_epsilon, dtype=self.dtype_policy, name=name)

    def _block(self, index: int, kind: type[TransformerBlock] = TransformerBlock, **options: Any) -> TransformerBlock:
        c = self.config
        return kind(
            c.d_model,
            c.num_heads,
            c.d_ff,
            c.hidden_dropout,
            norm_position=c.norm_position,
            norm_epsilon=c.norm_epsilon,
            activation=c.activation,
            attention_dropout=c.attention_dropout,
            rotary=c.rotary,
            layer_index=index,
            kernel_initializer=self.initializer(),
            dtype=self.dtype_policy,
            name=f"block_{index}",
            **{"attention_variant": c.block_attention, **options},
        )

    def initializer(self):
        return keras.initializers.RandomNormal(stddev=self.config.initializer_range)

    @property
    def max_positions(self):
        return self.config.max_positions

    @property
    def output_keys(self):
        return ("last_hidden_state", *(() if self.pooler is None else ("pooler_output",)))

    @property
    def options(self):
        return {"pooler": self.pooler is not None} if self.has_pooler else {}

    @property
    def num_blocks(self) -> int:
        """How many blocks with weights of their own there are."""
        return self.config.num_layers

    @property
    def block_sequence(self) -> list[TransformerBlock]:
        """The blocks in the order in which they run."""
        return self.blocks

    def block_options(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Returns what each block of this family is called with besides the mask, for these inputs of `hidden`."""
        return {}

    def build(self, input_shape=None):
        hidden = (None, None, self.config.d_model)
        for table in (self.token_embedding, self.token_type_embedding, self.position_embedding):
            if table is not None:
                table.build((None, None))
        embedded = (None, None, self.config.embedding_width)
        for layer in (self.embedding_norm, self.embedding_projection):
            if layer is not None:
                layer.build(embedded)
        for block in self.blocks:
            block.build(hidden)
        if self.final_norm is not None:
            self.final_norm.build(hidden)
        if self.pooler is not None:
            self.pooler.build((None, self.config.d_model))

    def input_signature(self):
        types = keras.InputSpec(name="token_type_ids", shape=(None, None), dtype="int32")
        return super().input_signature() | ({"token_type_ids": types} if self.config.type_vocab_size > 1 else {})

    def hidden(self, inputs, *, training=None, **asked):
        x = self.embedding_drop(self.embed(inputs), training=training)
        x = x if self.embedding_projection is None else self.embedding_projection(x)
        options = {
            "attention_mask": inputs["attention_mask"],
            "training": training,
            **self.block_options(inputs),
        }
        outputs = run_blocks(self.block_sequence, x, **options, **asked).named
        *states, x = outputs["hidden_states"]
        x = x if self.final_norm is None else self.final_norm(x)
        pooled = {} if self.pooler is None else {"pooler_output": ops.tanh(self.pooler(x[:, 0]))}
        return {"last_hidden_state": x, **pooled, **outputs, "hidden_states": (*states, x)}

    def embed(self, inputs: dict[str, Any]):
        """The sum of a vector for each token, its type and its position, normalized: `(B, T, embedding_width)`."""
        ids, types, position_ids = inputs["input_ids"], inputs.get("token_type_ids"), inputs["position_ids"]
        length = known_length(ids, self.max_positions, in_table=self.position_embedding is not None)
        x = self.embed_tokens(inputs)
        if self.token_type_embedding is not None:
            types = ops.zeros_like(ids) if types is None else types
            require_below(types, self.config.type_vocab_size, "token_type_ids", "type_vocab_size")
            x = x + self.token_type_embedding(types)
        if self.position_embedding is not None:
            x = x + self.position_embedding(self.positions(ids, length) if position_ids is None else position_ids)
        return x if self.embedding_norm is None else self.embedding_norm(x)

    def embed_tokens(self, inputs: dict[str, Any]):
        """A vector for each token, wherever it stands in the text: `(B, T, embedding_width)`."""
        return self.token_embedding(inputs["input_ids"])

    def positions(self, ids, length):
        """Rows of the position table for ids `(B, T)`, where none are given: `(T,)` or `(B, T)`; `length` is T."""
        return ops.arange(length, dtype="int32")
