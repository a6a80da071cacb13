"""Builders of the paper's models by name. Their weights are random: `load_pretrained(hub_id)` gives trained ones."""

from __future__ import annotations

from typing import Any

from keras_tx.models.core.registry import register_variant
from keras_tx.models.swin.config import VARIANTS
from keras_tx.models.swin.model import SwinTransformer


@register_variant("microsoft/swin-tiny-patch4-window7-224")
def swin_tiny_patch4_window7_224(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """Swin-T: 28.3 million parameters.

    The weights are random: `load_pretrained("microsoft/swin-tiny-patch4-window7-224")` gives trained ones.
    """
    return SwinTransformer(VARIANTS["swin_tiny_patch4_window7_224"], num_classes=num_classes, **overrides)


@register_variant("microsoft/swin-small-patch4-window7-224")
def swin_small_patch4_window7_224(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """Swin-S: 49.6 million parameters.

    The weights are random: `load_pretrained("microsoft/swin-small-patch4-window7-224")` gives trained ones.
    """
    return SwinTransformer(VARIANTS["swin_small_patch4_window7_224"], num_classes=num_classes, **overrides)


@register_variant("microsoft/swin-base-patch4-window7-224")
def swin_base_patch4_window7_224(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """Swin-B: 87.8 million parameters.

    The weights are random: `load_pretrained("microsoft/swin-base-patch4-window7-224")` gives trained ones.
    """
    return SwinTransformer(VARIANTS["swin_base_patch4_window7_224"], num_classes=num_classes, **overrides)


@register_variant("microsoft/swin-large-patch4-window7-224")
def swin_large_patch4_window7_224(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """Swin-L: 196.5 million parameters.

    The weights are random: `load_pretrained("microsoft/swin-large-patch4-window7-224")` gives trained ones.
    """
    return SwinTransformer(VARIANTS["swin_large_patch4_window7_224"], num_classes=num_classes, **overrides)


@register_variant("microsoft/swin-base-patch4-window12-384")
def swin_base_patch4_window12_384(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """Swin-B at 384 pixels: 87.9 million parameters.

    The weights are random: `load_pretrained("microsoft/swin-base-patch4-window12-384")` gives trained ones.
    """
    return SwinTransformer(VARIANTS["swin_base_patch4_window12_384"], num_classes=num_classes, **overrides)


@register_variant("microsoft/swin-large-patch4-window12-384")
def swin_large_patch4_window12_384(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """Swin-L at 384 pixels: 196.7 million parameters.

    The weights are random: `load_pretrained("microsoft/swin-large-patch4-window12-384")` gives trained ones.
    """
    return SwinTransformer(VARIANTS["swin_large_patch4_window12_384"], num_classes=num_classes, **overrides)


@register_variant("microsoft/swinv2-tiny-patch4-window8-256")
def swinv2_tiny_patch4_window8_256(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """SwinV2-T: 28.3 million parameters.

    The weights are random: `load_pretrained("microsoft/swinv2-tiny-patch4-window8-256")` gives trained ones.
    """
    return SwinTransformer(VARIANTS["swinv2_tiny_patch4_window8_256"], num_classes=num_classes, **overrides)


@register_variant("microsoft/swinv2-small-patch4-window8-256")
def swinv2_small_patch4_window8_256(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """SwinV2-S: 49.7 million parameters.

    The weights are random: `load_pretrained("microsoft/swinv2-small-patch4-window8-256")` gives trained ones.
    """
    return SwinTransformer(VARIANTS["swinv2_small_patch4_window8_256"], num_classes=num_classes, **overrides)


@register_variant("microsoft/swinv2-base-patch4-window8-256")
def swinv2_base_patch4_window8_256(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """SwinV2-B: 87.9 million parameters.

    The weights are random: `load_pretrained("microsoft/swinv2-base-patch4-window8-256")` gives trained ones.
    """
    return SwinTransformer(VARIANTS["swinv2_base_patch4_window8_256"], num_classes=num_classes, **overrides)


@register_variant("microsoft/swinv2-tiny-patch4-window16-256")
def swinv2_tiny_patch4_window16_256(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """SwinV2-T with windows of 16: 28.3 million parameters.

    The weights are random: `load_pretrained("microsoft/swinv2-tiny-patch4-window16-256")` gives trained ones.
    """
    return SwinTransformer(VARIANTS["swinv2_tiny_patch4_window16_256"], num_classes=num_classes, **overrides)


@register_variant("microsoft/swinv2-small-patch4-window16-256")
def swinv2_small_patch4_window16_256(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """SwinV2-S with windows of 16: 49.7 million parameters.

    The weights are random: `load_pretrained("microsoft/swinv2-small-patch4-window16-256")` gives trained ones.
    """
    return SwinTransformer(VARIANTS["swinv2_small_patch4_window16_256"], num_classes=num_classes, **overrides)


@register_variant("microsoft/swinv2-base-patch4-window16-256")
def swinv2_base_patch4_window16_256(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """SwinV2-B with windows of 16: 87.9 million parameters.

    The weights are random: `load_pretrained("microsoft/swinv2-base-patch4-window16-256")` gives trained ones.
    """
    return SwinTransformer(VARIANTS["swinv2_base_patch4_window16_256"], num_classes=num_classes, **overrides)
