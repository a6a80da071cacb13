"""Builders of the papers' models by name. Their weights are random: `load_pretrained(hub_id)` gives trained ones."""

from __future__ import annotations

from typing import Any

from keras_tx.models.core.registry import register_variant
from keras_tx.models.deberta.config import VARIANTS
from keras_tx.models.deberta.model import DebertaV2Model


@register_variant("microsoft/deberta-v2-xlarge")
def deberta_v2_xlarge(**overrides: Any) -> DebertaV2Model:
    """DeBERTa-v2 xlarge: 884.6 million parameters.

    The weights are random: `load_pretrained("microsoft/deberta-v2-xlarge")` gives trained ones.
    """
    return DebertaV2Model(VARIANTS["deberta_v2_xlarge"], **overrides)


@register_variant("microsoft/deberta-v2-xxlarge")
def deberta_v2_xxlarge(**overrides: Any) -> DebertaV2Model:
    """DeBERTa-v2 xxlarge: 1564.5 million parameters.

    The weights are random: `load_pretrained("microsoft/deberta-v2-xxlarge")` gives trained ones.
    """
    return DebertaV2Model(VARIANTS["deberta_v2_xxlarge"], **overrides)


@register_variant("microsoft/deberta-v3-xsmall")
def deberta_v3_xsmall(**overrides: Any) -> DebertaV2Model:
    """DeBERTa-v3 xsmall: 70.7 million parameters.

    The weights are random: `load_pretrained("microsoft/deberta-v3-xsmall")` gives trained ones.
    """
    return DebertaV2Model(VARIANTS["deberta_v3_xsmall"], **overrides)


@register_variant("microsoft/deberta-v3-small")
def deberta_v3_small(**overrides: Any) -> DebertaV2Model:
    """DeBERTa-v3 small: 141.3 million parameters.

    The weights are random: `load_pretrained("microsoft/deberta-v3-small")` gives trained ones.
    """
    return DebertaV2Model(VARIANTS["deberta_v3_small"], **overrides)


@register_variant("microsoft/deberta-v3-base")
def deberta_v3_base(**overrides: Any) -> DebertaV2Model:
    """DeBERTa-v3 base: 183.8 million parameters.

    The weights are random: `load_pretrained("microsoft/deberta-v3-base")` gives trained ones.
    """
    return DebertaV2Model(VARIANTS["deberta_v3_base"], **overrides)


@register_variant("microsoft/deberta-v3-large")
def deberta_v3_large(**overrides: Any) -> DebertaV2Model:
    """DeBERTa-v3 large: 434.0 million parameters.

    The weights are random: `load_pretrained("microsoft/deberta-v3-large")` gives trained ones.
    """
    return DebertaV2Model(VARIANTS["deberta_v3_large"], **overrides)
