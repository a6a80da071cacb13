"""CamemBERT's backbone (Martin et al. 2020): RoBERTa's."""

from __future__ import annotations

from typing import ClassVar

from keras_tx.models.camembert.config import CamembertConfig
from keras_tx.models.core.registry import register_model
from keras_tx.models.roberta.backbone import RobertaBackbone
from keras_tx.models.roberta.huggingface import family


@register_model()
class CamembertBackbone(RobertaBackbone):
    """CamemBERT's encoder.

    `backbone(input_ids)` gives what a `RobertaBackbone` does.

    Args:
        config: a `CamembertConfig`; CamemBERT base unless given.
        pooler, name, dtype, overrides: as `BERTBackbone` takes them.
    """

    config_class = CamembertConfig
    config: CamembertConfig
    formats: ClassVar = {"huggingface": (family("camembert", "Camembert", 30522),)}
