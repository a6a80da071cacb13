"""Builders of the published models by name. Their weights are random: `load_pretrained(hub_id)` gives trained ones."""

from __future__ import annotations

from typing import Any

from keras_tx.models.core.registry import register_variant
from keras_tx.models.longformer.config import VARIANTS
from keras_tx.models.longformer.model import LongformerModel


@register_variant("allenai/longformer-base-4096")
def longformer_base_4096(**overrides: Any) -> LongformerModel:
    """Longformer base: 148.7 million parameters.

    The weights are random: `load_pretrained("allenai/longformer-base-4096")` gives trained ones.
    """
    return LongformerModel(VARIANTS["longformer_base_4096"], **overrides)


@register_variant("allenai/longformer-large-4096")
def longformer_large_4096(**overrides: Any) -> LongformerModel:
    """Longformer large: 434.6 million parameters.

    The weights are random: `load_pretrained("allenai/longformer-large-4096")` gives trained ones.
    """
    return LongformerModel(VARIANTS["longformer_large_4096"], **overrides)
