"""The builder of the paper's model by name. Its weights are random: `load_pretrained(hub_id)` gives trained ones."""

from __future__ import annotations

from typing import Any

from keras_tx.models.core.registry import register_variant
from keras_tx.models.distilbert.config import VARIANTS
from keras_tx.models.distilbert.model import DistilBertModel


@register_variant("distilbert/distilbert-base-uncased")
def distilbert_base(**overrides: Any) -> DistilBertModel:
    """DistilBERT base: 66.4 million parameters.

    The weights are random: `load_pretrained("distilbert/distilbert-base-uncased")` gives trained ones.
    """
    return DistilBertModel(VARIANTS["distilbert_base"], **overrides)
