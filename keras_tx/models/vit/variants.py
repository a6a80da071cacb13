"""Builders of the paper's models by name. Their weights are random: `load_pretrained(hub_id)` gives trained ones."""

from __future__ import annotations

from typing import Any

from keras_tx.models.core.registry import register_variant
from keras_tx.models.vit.config import VARIANTS
from keras_tx.models.vit.model import VisionTransformer


def _build(name: str, num_classes: int, overrides: dict[str, Any]) -> VisionTransformer:
    return VisionTransformer(VARIANTS[name], num_classes=num_classes, **overrides)


@register_variant("timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k")
def vit_tiny_patch16_224(num_classes: int = 1000, **overrides: Any) -> VisionTransformer:
    """ViT-Ti/16: 5.7 million parameters.

    The weights are random: `load_pretrained("timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k")` gives trained ones.
    """
    return _build("vit_tiny_patch16_224", num_classes, overrides)


@register_variant("timm/vit_small_patch16_224.augreg_in21k_ft_in1k")
def vit_small_patch16_224(num_classes: int = 1000, **overrides: Any) -> VisionTransformer:
    """ViT-S/16: 22.1 million parameters.

    The weights are random: `load_pretrained("timm/vit_small_patch16_224.augreg_in21k_ft_in1k")` gives trained ones.
    """
    return _build("vit_small_patch16_224", num_classes, overrides)


@register_variant("google/vit-base-patch16-224")
def vit_base_patch16_224(num_classes: int = 1000, **overrides: Any) -> VisionTransformer:
    """ViT-B/16: 86.6 million parameters.

    The weights are random: `load_pretrained("google/vit-base-patch16-224")` gives trained ones.
    """
    return _build("vit_base_patch16_224", num_classes, overrides)


@register_variant("timm/vit_base_patch32_224.augreg_in21k_ft_in1k")
def vit_base_patch32_224(num_classes: int = 1000, **overrides: Any) -> VisionTransformer:
    """ViT-B/32: 88.2 million parameters.

    The weights are random: `load_pretrained("timm/vit_base_patch32_224.augreg_in21k_ft_in1k")` gives trained ones.
    """
    return _build("vit_base_patch32_224", num_classes, overrides)


@register_variant("google/vit-large-patch16-224")
def vit_large_patch16_224(num_classes: int = 1000, **overrides: Any) -> VisionTransformer:
    """ViT-L/16: 304.3 million parameters.

    The weights are random: `load_pretrained("google/vit-large-patch16-224")` gives trained ones.
    """
    return _build("vit_large_patch16_224", num_classes, overrides)


@register_variant("google/vit-huge-patch14-224-in21k")
def vit_huge_patch14_224(num_classes: int = 1000, **overrides: Any) -> VisionTransformer:
    """ViT-H/14: 632.0 million parameters.

    The weights are random: `load_pretrained("google/vit-huge-patch14-224-in21k")` gives trained ones.
    """
    return _build("vit_huge_patch14_224", num_classes, overrides)
