"""DeBERTa's backbone, version 2 and 3 (He et al. 2020, 2021): BERT's, with disentangled attention."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import ops

from keras_tx.layers import PositionEmbedding, TransformerBlock
from keras_tx.layers.core.linear import Linear
from keras_tx.models.bert.backbone import BERTBackbone
from keras_tx.models.core.backbone import run_blocks
from keras_tx.models.core.inputs import known_length
from keras_tx.models.core.registry import register_model
from keras_tx.models.deberta.config import DebertaV2Config
from keras_tx.models.deberta.huggingface import FAMILIES
from keras_tx.models.deberta.layers import ConvolutionBlock, at_tokens
from keras_tx.ops.checks import require_below


@register_model()
class DebertaV2Backbone(BERTBackbone):
    """DeBERTa's encoder, version 2 and 3.

    `backbone(input_ids)` gives `{"last_hidden_state": (B, T, d_model)}`. The layers share one table of vectors of
    relative positions, `relative_embedding`.

    Args:
        config: a `DebertaV2Config`; DeBERTa-v3 base unless given.
        name, dtype, overrides: as `BERTBackbone` takes them.
    """

    config_class = DebertaV2Config
    config: DebertaV2Config
    formats: ClassVar = {"huggingface": FAMILIES}
    has_pooler = False
    adaptable = ("vocab_size",)  # what a relative position is may follow from the number of positions

    def _linear(self, name):
        options = {"use_bias": False, "kernel_initializer": self.initializer(), "dtype": self.dtype_policy}
        return Linear(self.config.d_model, name=name, **options)

    def _block(self, index, kind=TransformerBlock, **options):
        c = self.config
        options |= {"attention_variant": c.block_attention, "scale": c.attention_scale}
        if index == 0 and c.conv_kernel_size:
            kind = ConvolutionBlock
            options |= {"conv_kernel_size": c.conv_kernel_size, "conv_activation": c.conv_activation}
        return super()._block(index, kind, **options)

    @property
    def max_positions(self):
        c = self.config
        return c.max_positions if c.position_biased_input else c.longest

    def build(self, input_shape=None):
        c, hidden = self.config, (None, None, self.config.d_model)
        for table in (self.token_embedding, self.token_type_embedding, self.position_embedding):
            if table is not None:
                table.build((None, None))
        if self.embedding_projection is not None:
            self.embedding_projection.build((None, None, c.embedding_width))
        self.embedding_norm.build(hidden)
        self.relative_embedding = self.relative_norm = None
        if c.relative_attention:
            options: dict[str, Any] = {"dtype": self.dtype_policy}
            self.relative_embedding = PositionEmbedding(
                c.relative_rows, c.d_model, initializer=self.initializer(), name="relative_embedding", **options
            )
            self.relative_embedding.build((None,))
            if c.norm_relative_embeddings:
                self.relative_norm = keras.layers.LayerNormalization(
                    epsilon=c.norm_epsilon, name="relative_norm", **options
                )
                self.relative_norm.build((None, c.d_model))
        for block in self.blocks:
            block.build(hidden)

    def hidden(self, inputs, *, training=None, **asked):
        mask = inputs["attention_mask"]
        if self.config.conv_kernel_size and mask is not None and len(mask.shape) == 3:
            raise ValueError(
                f"`attention_mask` must be (B, T) in a model with `conv_kernel_size`; got shape {tuple(mask.shape)}: a "
                "convolution sees its neighbours, whatever a mask says of pairs of tokens. Give one text a row."
            )
        x = self.embed(inputs)
        x = self.embedding_drop(at_tokens(x, mask), training=training)
        options = {"attention_mask": self._of_pairs(mask), "training": training, **self.block_options(inputs)}
        outputs = run_blocks(self.block_sequence, x, **options, **asked).named
        return {"last_hidden_state": outputs["hidden_states"][-1], **outputs}

    def _of_pairs(self, mask):
        """Returns a mask `(B, T)` as `(B, T, T)`, by which padding does not look at tokens either."""
        if mask is None or len(mask.shape) == 3 or self.config.attention is not None:
            return mask
        seen = ops.not_equal(mask, 0)
        return ops.logical_and(ops.expand_dims(seen, 1), ops.expand_dims(seen, 2))

    def embed(self, inputs):
        """The sum of a vector for each token and, where there are any, its type and position: `(B, T, d_model)`.

        It is projected to the width of the blocks, then normalized.
        """
        ids, types, position_ids = inputs["input_ids"], inputs.get("token_type_ids"), inputs["position_ids"]
        x = self.embed_tokens(inputs)
        if self.max_positions is not None:
            length = known_length(ids, self.max_positions, in_table=self.position_embedding is not None)
            if self.position_embedding is not None:
                x = x + self.position_embedding(self.positions(ids, length) if position_ids is None else position_ids)
        if self.token_type_embedding is not None:
            types = ops.zeros_like(ids) if types is None else types
            require_below(types, self.config.type_vocab_size, "token_type_ids", "type_vocab_size")
            x = x + self.token_type_embedding(types)
        x = x if self.embedding_projection is None else self.embedding_projection(x)
        return self.embedding_norm(x)

    def block_options(self, inputs):
        if self.relative_embedding is None:
            return {}
        vectors = ops.cast(self.relative_embedding.embeddings, self.compute_dtype)
        vectors = vectors if self.relative_norm is None else self.relative_norm(vectors)
        return {"attention_inputs": {"relative_embeddings": vectors}}
