"""Builders of the paper's models by name. Their weights are random: `load_pretrained(hub_id)` gives trained ones."""

from __future__ import annotations

from typing import Any

from keras_tx.models.bert.config import VARIANTS
from keras_tx.models.bert.model import BERTModel
from keras_tx.models.core.registry import register_variant


@register_variant("google-bert/bert-base-uncased")
def bert_base(**overrides: Any) -> BERTModel:
    """BERT base: 109.5 million parameters.

    The weights are random: `load_pretrained("google-bert/bert-base-uncased")` gives trained ones.
    """
    return BERTModel(VARIANTS["bert_base"], **overrides)


@register_variant("google-bert/bert-large-uncased")
def bert_large(**overrides: Any) -> BERTModel:
    """BERT large: 335.1 million parameters.

    The weights are random: `load_pretrained("google-bert/bert-large-uncased")` gives trained ones.
    """
    return BERTModel(VARIANTS["bert_large"], **overrides)
