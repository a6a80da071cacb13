"""ESM's backbone (Rives et al. 2021, Lin et al. 2022): RoBERTa's with the norms first, of proteins."""

from __future__ import annotations

from typing import ClassVar

from keras import ops

from keras_tx.models.core.inputs import present
from keras_tx.models.core.registry import register_model
from keras_tx.models.esm.config import EsmConfig
from keras_tx.models.esm.contacts import ContactHead
from keras_tx.models.esm.huggingface import FAMILIES
from keras_tx.models.esm.rotary import RotaryFrequencies
from keras_tx.models.roberta.backbone import RobertaBackbone

MASKED_IN_TRAINING = 0.15 * 0.8
"""The share of tokens that were masked in training."""


@register_model()
class EsmBackbone(RobertaBackbone):
    """ESM's encoder.

    `backbone(input_ids)` gives what a `BERTBackbone` does. Positions, where none are given, are RoBERTa's, or with
    rotary embeddings counted from 0 without regard to padding.

    Args:
        config: an `EsmConfig`; the smallest ESM-2 unless given.
        pooler, name, dtype, overrides: as `BERTBackbone` takes them.
    """

    config_class = EsmConfig
    config: EsmConfig
    formats: ClassVar = {"huggingface": FAMILIES}
    input_names = ("input_ids", "attention_mask", "position_ids")
    positions_skip_padding = True

    def build(self, input_shape=None):
        super().build(input_shape)
        c = self.config
        self.rotary = None
        if c.rotary is not None:
            self.rotary = RotaryFrequencies(c.rotary, c.d_model // c.num_heads, dtype=self.dtype_policy, name="rotary")
            self.rotary.build()
        self.contact_head = ContactHead(c.num_layers * c.num_heads, dtype=self.dtype_policy, name="contact_head")
        self.contact_head.build()

    @property
    def max_positions(self):
        return super().max_positions if self.config.has_position_table else self.config.max_positions

    def block_options(self, inputs):
        if self.rotary is None:
            return {}
        positions = inputs["position_ids"]
        if positions is None:
            positions = ops.arange(ops.shape(inputs["input_ids"])[1], dtype="int32")
        return {"positions": self.rotary(positions)}

    def embed(self, inputs):
        x = super().embed(inputs)
        real = _real_tokens(inputs["attention_mask"])
        return x if real is None else x * ops.expand_dims(ops.cast(real, x.dtype), -1)

    def embed_tokens(self, inputs):
        """A vector for each token, zeros for masked ones, scaled as if as many were masked as in training."""
        x = super().embed_tokens(inputs)
        if not self.config.token_dropout:
            return x
        masked = ops.equal(inputs["input_ids"], self.config.mask_token_id)
        real = _real_tokens(inputs["attention_mask"])
        counts = ops.ones_like(masked, "float32") if real is None else ops.cast(real, "float32")
        of_all, of_masked = ops.sum(counts, axis=-1), ops.sum(ops.cast(masked, "float32"), axis=-1)
        some = of_masked < of_all  # are left; otherwise there is nothing to scale
        scale = ops.where(some, (1 - MASKED_IN_TRAINING) * of_all / ops.where(some, of_all - of_masked, 1.0), 1.0)
        scaled = x * ops.cast(ops.reshape(scale, (-1, 1, 1)), x.dtype)
        return ops.where(ops.expand_dims(masked, -1), ops.zeros_like(x), scaled)

    def predict_contacts(self, input_ids, attention_mask=None):
        """The probabilities that two residues touch in the folded protein, by the published contact head.

        Args:
            input_ids: `(B, T)`: each protein begins with a first token and ends with the token 2.
            attention_mask: `(B, T)`, 0 at padding.

        Returns:
            `(B, T - 2, T - 2)`, without the first token and the last place; no numbers that mean anything at padding.
        """
        inputs = present({"input_ids": input_ids, "attention_mask": attention_mask})
        maps = ops.concatenate(self(inputs, return_attention=True)["attentions"], axis=1)
        if attention_mask is not None:
            real = ops.cast(attention_mask, maps.dtype)
            maps = maps * real[:, None, :, None] * real[:, None, None, :]
        return self.contact_head(ops.convert_to_tensor(input_ids), maps)


def _real_tokens(attention_mask):
    """The tokens that are not padding, `(B, T)`; of a mask `(B, T, T)`, those that any token sees."""
    if attention_mask is None or len(attention_mask.shape) == 2:
        return attention_mask
    return ops.any(ops.cast(attention_mask, "bool"), axis=1)
