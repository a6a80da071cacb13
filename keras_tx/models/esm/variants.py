"""Builders of ESM-2 by name. Their weights are random: `load_pretrained(hub_id)` gives trained ones."""

from __future__ import annotations

from typing import Any

from keras_tx.models.core.registry import register_variant
from keras_tx.models.esm.config import VARIANTS
from keras_tx.models.esm.model import EsmModel


@register_variant("facebook/esm2_t6_8M_UR50D")
def esm2_t6_8m(**overrides: Any) -> EsmModel:
    """ESM-2 of 6 layers: 7.5 million parameters.

    The weights are random: `load_pretrained("facebook/esm2_t6_8M_UR50D")` gives trained ones.
    """
    return EsmModel(VARIANTS["esm2_t6_8m"], **overrides)


@register_variant("facebook/esm2_t12_35M_UR50D")
def esm2_t12_35m(**overrides: Any) -> EsmModel:
    """ESM-2 of 12 layers: 33.5 million parameters.

    The weights are random: `load_pretrained("facebook/esm2_t12_35M_UR50D")` gives trained ones.
    """
    return EsmModel(VARIANTS["esm2_t12_35m"], **overrides)


@register_variant("facebook/esm2_t30_150M_UR50D")
def esm2_t30_150m(**overrides: Any) -> EsmModel:
    """ESM-2 of 30 layers: 148.1 million parameters.

    The weights are random: `load_pretrained("facebook/esm2_t30_150M_UR50D")` gives trained ones.
    """
    return EsmModel(VARIANTS["esm2_t30_150m"], **overrides)


@register_variant("facebook/esm2_t33_650M_UR50D")
def esm2_t33_650m(**overrides: Any) -> EsmModel:
    """ESM-2 of 33 layers: 651.0 million parameters.

    The weights are random: `load_pretrained("facebook/esm2_t33_650M_UR50D")` gives trained ones.
    """
    return EsmModel(VARIANTS["esm2_t33_650m"], **overrides)
