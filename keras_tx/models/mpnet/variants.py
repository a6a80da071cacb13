"""Builders of the paper's models by name. Their weights are random: `load_pretrained(hub_id)` gives trained ones."""

from __future__ import annotations

from typing import Any

from keras_tx.models.core.registry import register_variant
from keras_tx.models.mpnet.config import VARIANTS
from keras_tx.models.mpnet.model import MPNetModel


@register_variant("microsoft/mpnet-base")
def mpnet_base(**overrides: Any) -> MPNetModel:
    """MPNet base: 109.5 million parameters.

    The weights are random: `load_pretrained("microsoft/mpnet-base")` gives trained ones.
    """
    return MPNetModel(VARIANTS["mpnet_base"], **overrides)
