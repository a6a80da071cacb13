"""Builders of the paper's models by name. Their weights are random: `load_pretrained(hub_id)` gives trained ones."""

from __future__ import annotations

from typing import Any

from keras_tx.models.core.registry import register_variant
from keras_tx.models.roberta.config import VARIANTS
from keras_tx.models.roberta.model import RobertaModel


@register_variant("FacebookAI/roberta-base")
def roberta_base(**overrides: Any) -> RobertaModel:
    """RoBERTa base: 124.6 million parameters.

    The weights are random: `load_pretrained("FacebookAI/roberta-base")` gives trained ones.
    """
    return RobertaModel(VARIANTS["roberta_base"], **overrides)


@register_variant("FacebookAI/roberta-large")
def roberta_large(**overrides: Any) -> RobertaModel:
    """RoBERTa large: 355.4 million parameters.

    The weights are random: `load_pretrained("FacebookAI/roberta-large")` gives trained ones.
    """
    return RobertaModel(VARIANTS["roberta_large"], **overrides)
