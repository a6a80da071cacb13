"""Builders of the paper's models by name. Their weights are random: `load_pretrained(hub_id)` gives trained ones."""

from __future__ import annotations

from typing import Any

from keras_tx.models.albert.config import VARIANTS
from keras_tx.models.albert.model import AlbertModel
from keras_tx.models.core.registry import register_variant


@register_variant("albert/albert-base-v2")
def albert_base(**overrides: Any) -> AlbertModel:
    """ALBERT base: 11.7 million parameters.

    The weights are random: `load_pretrained("albert/albert-base-v2")` gives trained ones.
    """
    return AlbertModel(VARIANTS["albert_base"], **overrides)


@register_variant("albert/albert-large-v2")
def albert_large(**overrides: Any) -> AlbertModel:
    """ALBERT large: 17.7 million parameters.

    The weights are random: `load_pretrained("albert/albert-large-v2")` gives trained ones.
    """
    return AlbertModel(VARIANTS["albert_large"], **overrides)


@register_variant("albert/albert-xlarge-v2")
def albert_xlarge(**overrides: Any) -> AlbertModel:
    """ALBERT xlarge: 58.7 million parameters.

    The weights are random: `load_pretrained("albert/albert-xlarge-v2")` gives trained ones.
    """
    return AlbertModel(VARIANTS["albert_xlarge"], **overrides)


@register_variant("albert/albert-xxlarge-v2")
def albert_xxlarge(**overrides: Any) -> AlbertModel:
    """ALBERT xxlarge: 222.6 million parameters.

    The weights are random: `load_pretrained("albert/albert-xxlarge-v2")` gives trained ones.
    """
    return AlbertModel(VARIANTS["albert_xxlarge"], **overrides)
