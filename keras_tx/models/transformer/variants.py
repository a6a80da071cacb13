"""Builders of the paper's models by name. Their weights are random: `load_pretrained(hub_id)` gives trained ones."""

from __future__ import annotations

from typing import Any

from keras_tx.models.core.registry import register_variant
from keras_tx.models.transformer.config import VARIANTS
from keras_tx.models.transformer.model import Transformer


@register_variant()
def transformer_base(**overrides: Any) -> Transformer:
    """The paper's base model: 63.1 million parameters with a vocabulary of 37,000 tokens, with random weights."""
    return Transformer(VARIANTS["transformer_base"], **overrides)


@register_variant()
def transformer_big(**overrides: Any) -> Transformer:
    """The paper's big model: 214.2 million parameters with a vocabulary of 37,000 tokens, with random weights."""
    return Transformer(VARIANTS["transformer_big"], **overrides)
