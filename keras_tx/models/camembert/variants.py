"""Builders of the paper's models by name. Their weights are random: `load_pretrained(hub_id)` gives trained ones."""

from __future__ import annotations

from typing import Any

from keras_tx.models.camembert.config import VARIANTS
from keras_tx.models.camembert.model import CamembertModel
from keras_tx.models.core.registry import register_variant


@register_variant("almanach/camembert-base")
def camembert_base(**overrides: Any) -> CamembertModel:
    """CamemBERT base: 110.6 million parameters.

    The weights are random: `load_pretrained("almanach/camembert-base")` gives trained ones.
    """
    return CamembertModel(VARIANTS["camembert_base"], **overrides)


@register_variant("almanach/camembert-large")
def camembert_large(**overrides: Any) -> CamembertModel:
    """CamemBERT large: 336.7 million parameters.

    The weights are random: `load_pretrained("almanach/camembert-large")` gives trained ones.
    """
    return CamembertModel(VARIANTS["camembert_large"], **overrides)
