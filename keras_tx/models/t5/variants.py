"""Builders of the paper's models by name. Their weights are random: `load_pretrained(hub_id)` gives trained ones."""

from __future__ import annotations

from typing import Any

from keras_tx.models.core.registry import register_variant
from keras_tx.models.t5.config import VARIANTS
from keras_tx.models.t5.model import T5Model


@register_variant("google-t5/t5-small")
def t5_small(**overrides: Any) -> T5Model:
    """T5 small: 60.5 million parameters.

    The weights are random: `load_pretrained("google-t5/t5-small")` gives trained ones.
    """
    return T5Model(VARIANTS["t5_small"], **overrides)


@register_variant("google-t5/t5-base")
def t5_base(**overrides: Any) -> T5Model:
    """T5 base: 222.9 million parameters.

    The weights are random: `load_pretrained("google-t5/t5-base")` gives trained ones.
    """
    return T5Model(VARIANTS["t5_base"], **overrides)


@register_variant("google-t5/t5-large")
def t5_large(**overrides: Any) -> T5Model:
    """T5 large: 737.7 million parameters.

    The weights are random: `load_pretrained("google-t5/t5-large")` gives trained ones.
    """
    return T5Model(VARIANTS["t5_large"], **overrides)


@register_variant("google-t5/t5-3b")
def t5_xl(**overrides: Any) -> T5Model:
    """T5 3B: 2851.6 million parameters.

    The weights are random: `load_pretrained("google-t5/t5-3b")` gives trained ones.
    """
    return T5Model(VARIANTS["t5_xl"], **overrides)


@register_variant("google-t5/t5-11b")
def t5_xxl(**overrides: Any) -> T5Model:
    """T5 11B: 11307.3 million parameters.

    The weights are random: `load_pretrained("google-t5/t5-11b")` gives trained ones.
    """
    return T5Model(VARIANTS["t5_xxl"], **overrides)


@register_variant("google/t5-v1_1-small")
def t5_v1_1_small(**overrides: Any) -> T5Model:
    """T5 small of version 1.1: 77.0 million parameters.

    The weights are random: `load_pretrained("google/t5-v1_1-small")` gives trained ones.
    """
    return T5Model(VARIANTS["t5_v1_1_small"], **overrides)


@register_variant("google/t5-v1_1-base")
def t5_v1_1_base(**overrides: Any) -> T5Model:
    """T5 base of version 1.1: 247.6 million parameters.

    The weights are random: `load_pretrained("google/t5-v1_1-base")` gives trained ones.
    """
    return T5Model(VARIANTS["t5_v1_1_base"], **overrides)


@register_variant("google/t5-v1_1-large")
def t5_v1_1_large(**overrides: Any) -> T5Model:
    """T5 large of version 1.1: 783.2 million parameters.

    The weights are random: `load_pretrained("google/t5-v1_1-large")` gives trained ones.
    """
    return T5Model(VARIANTS["t5_v1_1_large"], **overrides)


@register_variant("google/t5-v1_1-xl")
def t5_v1_1_xl(**overrides: Any) -> T5Model:
    """T5 XL of version 1.1: 2849.8 million parameters.

    The weights are random: `load_pretrained("google/t5-v1_1-xl")` gives trained ones.
    """
    return T5Model(VARIANTS["t5_v1_1_xl"], **overrides)


@register_variant("google/t5-v1_1-xxl")
def t5_v1_1_xxl(**overrides: Any) -> T5Model:
    """T5 XXL of version 1.1: 11135.3 million parameters.

    The weights are random: `load_pretrained("google/t5-v1_1-xxl")` gives trained ones.
    """
    return T5Model(VARIANTS["t5_v1_1_xxl"], **overrides)
