"""Swin Transformers."""

from keras_tx.models.swin.backbone import SwinBackbone
from keras_tx.models.swin.config import SwinConfig
from keras_tx.models.swin.dense import (
    SwinDetectionConfig,
    SwinForObjectDetection,
    SwinForSemanticSegmentation,
    SwinSegmentationConfig,
)
from keras_tx.models.swin.model import SwinTransformer
from keras_tx.models.swin.pretraining import SwinForMaskedImageModeling
from keras_tx.models.swin.variants import (
    swin_base_patch4_window7_224,
    swin_base_patch4_window12_384,
    swin_large_patch4_window7_224,
    swin_large_patch4_window12_384,
    swin_small_patch4_window7_224,
    swin_tiny_patch4_window7_224,
    swinv2_base_patch4_window8_256,
    swinv2_base_patch4_window16_256,
    swinv2_small_patch4_window8_256,
    swinv2_small_patch4_window16_256,
    swinv2_tiny_patch4_window8_256,
    swinv2_tiny_patch4_window16_256,
)

__all__ = [
    "SwinBackbone",
    "SwinConfig",
    "SwinDetectionConfig",
    "SwinForMaskedImageModeling",
    "SwinForObjectDetection",
    "SwinForSemanticSegmentation",
    "SwinSegmentationConfig",
    "SwinTransformer",
    "swin_base_patch4_window7_224",
    "swin_base_patch4_window12_384",
    "swin_large_patch4_window7_224",
    "swin_large_patch4_window12_384",
    "swin_small_patch4_window7_224",
    "swin_tiny_patch4_window7_224",
    "swinv2_base_patch4_window8_256",
    "swinv2_base_patch4_window16_256",
    "swinv2_small_patch4_window8_256",
    "swinv2_small_patch4_window16_256",
    "swinv2_tiny_patch4_window8_256",
    "swinv2_tiny_patch4_window16_256",
]
