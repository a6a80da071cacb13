"""RoBERTa's backbone (Liu et al. 2019): BERT's, with positions that skip padding."""

from __future__ import annotations

from typing import ClassVar

from keras import ops

from keras_tx.models.bert.backbone import BERTBackbone
from keras_tx.models.core.registry import register_model
from keras_tx.models.roberta.config import RobertaConfig
from keras_tx.models.roberta.huggingface import FAMILIES


@register_model()
class RobertaBackbone(BERTBackbone):
    """RoBERTa's encoder.

    `backbone(input_ids)` gives what a `BERTBackbone` does. Positions, where none are given, are counted from
    `pad_token_id + 1` over the tokens that are not padding, which itself has the position `pad_token_id`.

    Args:
        config: a `RobertaConfig`; RoBERTa base unless given.
        pooler, name, dtype, overrides: as `BERTBackbone` takes them.
    """

    config_class = RobertaConfig
    config: RobertaConfig
    formats: ClassVar = {"huggingface": FAMILIES}
    positions_skip_padding = True

    @property
    def max_positions(self):
        return self.config.max_positions - self.config.first_position

    def positions(self, ids, length):
        padding = self.config.position_padding_id
        counts = ops.cast(ops.not_equal(ids, padding), "int32")
        return ops.cumsum(counts, axis=1) * counts + padding
