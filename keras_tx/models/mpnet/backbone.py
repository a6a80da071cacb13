"""MPNet's backbone (Song et al. 2020): RoBERTa's, whose blocks share a bias of relative positions."""

from __future__ import annotations

from typing import ClassVar

from keras import ops

from keras_tx.layers import BucketedPositionBias
from keras_tx.models.core.registry import register_model
from keras_tx.models.mpnet.config import NUM_BUCKETS, MPNetConfig
from keras_tx.models.mpnet.huggingface import FAMILIES
from keras_tx.models.roberta.backbone import RobertaBackbone


@register_model()
class MPNetBackbone(RobertaBackbone):
    """MPNet's encoder.

    `backbone(input_ids)` gives what a `BERTBackbone` does. Positions, where none are given, are counted from 2 over the
    tokens that are not 1, the padding; the bias of the attention goes by the places in the row.

    Args:
        config: an `MPNetConfig`; MPNet base unless given.
        pooler, name, dtype, overrides: as `BERTBackbone` takes them.
    """

    config_class = MPNetConfig
    config: MPNetConfig
    formats: ClassVar = {"huggingface": FAMILIES}
    input_names = ("input_ids", "attention_mask", "position_ids")

    def build(self, input_shape=None):
        super().build(input_shape)
        self.position_bias = BucketedPositionBias(
            self.config.num_heads,
            NUM_BUCKETS,
            initializer=self.initializer(),
            num_rows=self.config.bucket_rows,
            dtype=self.dtype_policy,
            name="position_bias",
        )
        self.position_bias.build()

    def block_options(self, inputs):
        places = ops.arange(ops.shape(inputs["input_ids"])[1], dtype="int32")
        return {"bias": self.position_bias(places, places)}
