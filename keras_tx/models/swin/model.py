"""The Swin Transformer (Liu et al. 2021, 2022) as a classifier of images."""

from __future__ import annotations

from typing import Any

from keras_tx.models.core.classification import ImageClassificationHead, ImageClassifier
from keras_tx.models.core.registry import register_model, register_variant
from keras_tx.models.swin.backbone import SwinBackbone
from keras_tx.models.swin.config import TINY, TINY_PADDED, TINY_V2, VARIANTS


@register_model(TINY, TINY_V2, TINY_PADDED)
class SwinTransformer(ImageClassifier):
    """The Swin Transformer as a classifier, or without a head as an encoder of images.

    `model(images)` gives the logits, `(B, num_classes)`; with `num_classes=0`, the features: the mean of the normalized
    tokens of the last stage. It trains with `compile(loss=...)`.

    Images may be of any size that is a whole number of patches.
    """

    backbone_class, head_class = SwinBackbone, ImageClassificationHead


# === Variants ===


@register_variant
def swin_tiny_patch4_window7_224(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """Swin-T: 28.3 million parameters."""
    return SwinTransformer(VARIANTS["swin_tiny_patch4_window7_224"], num_classes=num_classes, **overrides)


@register_variant
def swin_small_patch4_window7_224(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """Swin-S: 49.6 million parameters."""
    return SwinTransformer(VARIANTS["swin_small_patch4_window7_224"], num_classes=num_classes, **overrides)


@register_variant
def swin_base_patch4_window7_224(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """Swin-B: 87.8 million parameters."""
    return SwinTransformer(VARIANTS["swin_base_patch4_window7_224"], num_classes=num_classes, **overrides)


@register_variant
def swin_large_patch4_window7_224(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """Swin-L: 196.5 million parameters."""
    return SwinTransformer(VARIANTS["swin_large_patch4_window7_224"], num_classes=num_classes, **overrides)


@register_variant
def swin_base_patch4_window12_384(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """Swin-B at 384 pixels: 87.9 million parameters."""
    return SwinTransformer(VARIANTS["swin_base_patch4_window12_384"], num_classes=num_classes, **overrides)


@register_variant
def swin_large_patch4_window12_384(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """Swin-L at 384 pixels: 196.7 million parameters."""
    return SwinTransformer(VARIANTS["swin_large_patch4_window12_384"], num_classes=num_classes, **overrides)


@register_variant
def swinv2_tiny_patch4_window8_256(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """SwinV2-T: 28.3 million parameters."""
    return SwinTransformer(VARIANTS["swinv2_tiny_patch4_window8_256"], num_classes=num_classes, **overrides)


@register_variant
def swinv2_small_patch4_window8_256(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """SwinV2-S: 49.7 million parameters."""
    return SwinTransformer(VARIANTS["swinv2_small_patch4_window8_256"], num_classes=num_classes, **overrides)


@register_variant
def swinv2_base_patch4_window8_256(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """SwinV2-B: 87.9 million parameters."""
    return SwinTransformer(VARIANTS["swinv2_base_patch4_window8_256"], num_classes=num_classes, **overrides)


@register_variant
def swinv2_tiny_patch4_window16_256(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """SwinV2-T with windows of 16: 28.3 million parameters."""
    return SwinTransformer(VARIANTS["swinv2_tiny_patch4_window16_256"], num_classes=num_classes, **overrides)


@register_variant
def swinv2_small_patch4_window16_256(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """SwinV2-S with windows of 16: 49.7 million parameters."""
    return SwinTransformer(VARIANTS["swinv2_small_patch4_window16_256"], num_classes=num_classes, **overrides)


@register_variant
def swinv2_base_patch4_window16_256(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """SwinV2-B with windows of 16: 87.9 million parameters."""
    return SwinTransformer(VARIANTS["swinv2_base_patch4_window16_256"], num_classes=num_classes, **overrides)
