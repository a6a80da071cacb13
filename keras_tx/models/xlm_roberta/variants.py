"""Builders of the paper's models by name. Their weights are random: `load_pretrained(hub_id)` gives trained ones."""

from __future__ import annotations

from typing import Any

from keras_tx.models.core.registry import register_variant
from keras_tx.models.xlm_roberta.config import VARIANTS
from keras_tx.models.xlm_roberta.model import XLMRobertaModel


@register_variant("FacebookAI/xlm-roberta-base")
def xlm_roberta_base(**overrides: Any) -> XLMRobertaModel:
    """XLM-RoBERTa base: 278.0 million parameters.

    The weights are random: `load_pretrained("FacebookAI/xlm-roberta-base")` gives trained ones.
    """
    return XLMRobertaModel(VARIANTS["xlm_roberta_base"], **overrides)


@register_variant("FacebookAI/xlm-roberta-large")
def xlm_roberta_large(**overrides: Any) -> XLMRobertaModel:
    """XLM-RoBERTa large: 559.9 million parameters.

    The weights are random: `load_pretrained("FacebookAI/xlm-roberta-large")` gives trained ones.
    """
    return XLMRobertaModel(VARIANTS["xlm_roberta_large"], **overrides)
