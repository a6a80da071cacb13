"""DistilBERT's backbone (Sanh et al. 2019): BERT's, without token types and without a pooler."""

from __future__ import annotations

from typing import ClassVar

from keras_tx.models.bert.backbone import BERTBackbone
from keras_tx.models.core.registry import register_model
from keras_tx.models.distilbert.config import DistilBertConfig
from keras_tx.models.distilbert.huggingface import FAMILIES


@register_model()
class DistilBertBackbone(BERTBackbone):
    """DistilBERT's encoder.

    `backbone(input_ids)` gives `{"last_hidden_state": (B, T, d_model)}`.

    Args:
        config: a `DistilBertConfig`; DistilBERT base unless given.
        name, dtype, overrides: as `BERTBackbone` takes them.
    """

    config_class = DistilBertConfig
    config: DistilBertConfig
    formats: ClassVar = {"huggingface": FAMILIES}
    input_names = ("input_ids", "attention_mask", "position_ids")
    has_pooler = False
