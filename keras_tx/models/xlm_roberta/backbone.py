"""XLM-RoBERTa's backbone (Conneau et al. 2020): RoBERTa's."""

from __future__ import annotations

from typing import ClassVar

from keras_tx.models.core.registry import register_model
from keras_tx.models.roberta.backbone import RobertaBackbone
from keras_tx.models.roberta.huggingface import family
from keras_tx.models.xlm_roberta.config import XLMRobertaConfig


@register_model()
class XLMRobertaBackbone(RobertaBackbone):
    """XLM-RoBERTa's encoder.

    `backbone(input_ids)` gives what a `RobertaBackbone` does.

    Args:
        config: a `XLMRobertaConfig`; XLM-RoBERTa base unless given.
        pooler, name, dtype, overrides: as `BERTBackbone` takes them.
    """

    config_class = XLMRobertaConfig
    config: XLMRobertaConfig
    formats: ClassVar = {"huggingface": (family("xlm-roberta", "XLMRoberta", 30522),)}
