"""ELECTRA's backbone (Clark et al. 2020): BERT's without a pooler."""

from __future__ import annotations

from typing import ClassVar

from keras_tx.models.bert.backbone import BERTBackbone
from keras_tx.models.core.registry import register_model
from keras_tx.models.electra.config import ElectraConfig
from keras_tx.models.electra.huggingface import FAMILIES


@register_model()
class ElectraBackbone(BERTBackbone):
    """ELECTRA's encoder, of the discriminator and of the generator.

    `backbone(input_ids)` gives `{"last_hidden_state": (B, T, d_model)}`.

    Args:
        config: an `ElectraConfig`; ELECTRA small unless given.
        name, dtype, overrides: as `BERTBackbone` takes them.
    """

    config_class = ElectraConfig
    config: ElectraConfig
    formats: ClassVar = {"huggingface": FAMILIES}
    has_pooler = False
