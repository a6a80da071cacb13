"""Longformer's backbone (Beltagy et al. 2020): RoBERTa's, whose blocks know global tokens."""

from __future__ import annotations

from typing import ClassVar

import keras

from keras_tx.models.core.registry import register_model
from keras_tx.models.longformer.config import LongformerConfig
from keras_tx.models.longformer.huggingface import FAMILIES
from keras_tx.models.roberta.backbone import RobertaBackbone


@register_model()
class LongformerBackbone(RobertaBackbone):
    """Longformer's encoder.

    `backbone(input_ids, global_attention_mask=mask)` gives what a `BERTBackbone` does; no token is global unless a mask
    is given. Time and memory are those of `LongformerAttention`.

    Args:
        config: a `LongformerConfig`; Longformer base unless given.
        pooler, name, dtype, overrides: as `BERTBackbone` takes them.
    """

    config_class = LongformerConfig
    config: LongformerConfig
    formats: ClassVar = {"huggingface": FAMILIES}
    input_names = (*RobertaBackbone.input_names, "global_attention_mask")

    def input_signature(self):
        tokens = keras.InputSpec(name="global_attention_mask", shape=(None, None), dtype="int32")
        return super().input_signature() | {"global_attention_mask": tokens}

    def block_options(self, inputs):
        return {"global_attention_mask": inputs["global_attention_mask"]}
