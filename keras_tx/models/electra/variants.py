"""Builders of the paper's models by name. Their weights are random: `load_pretrained(hub_id)` gives trained ones."""

from __future__ import annotations

from typing import Any

from keras_tx.models.core.registry import register_variant
from keras_tx.models.electra.config import VARIANTS
from keras_tx.models.electra.model import ElectraModel


@register_variant("google/electra-small-discriminator")
def electra_small(**overrides: Any) -> ElectraModel:
    """ELECTRA small, the discriminator: 13.5 million parameters.

    The weights are random: `load_pretrained("google/electra-small-discriminator")` gives trained ones.
    """
    return ElectraModel(VARIANTS["electra_small"], **overrides)


@register_variant("google/electra-base-discriminator")
def electra_base(**overrides: Any) -> ElectraModel:
    """ELECTRA base, the discriminator: 108.9 million parameters.

    The weights are random: `load_pretrained("google/electra-base-discriminator")` gives trained ones.
    """
    return ElectraModel(VARIANTS["electra_base"], **overrides)


@register_variant("google/electra-large-discriminator")
def electra_large(**overrides: Any) -> ElectraModel:
    """ELECTRA large, the discriminator: 334.1 million parameters.

    The weights are random: `load_pretrained("google/electra-large-discriminator")` gives trained ones.
    """
    return ElectraModel(VARIANTS["electra_large"], **overrides)
