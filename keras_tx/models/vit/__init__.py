"""The Vision Transformer, DeiT and their relatives."""

from keras_tx.models.vit.backbone import ViTBackbone
from keras_tx.models.vit.config import ViTConfig
from keras_tx.models.vit.dense import (
    ViTDetectionConfig,
    ViTForObjectDetection,
    ViTForSemanticSegmentation,
    ViTSegmentationConfig,
)
from keras_tx.models.vit.mae import ViTMAEConfig
from keras_tx.models.vit.model import VisionTransformer
from keras_tx.models.vit.pretraining import ViTForMaskedImageModeling, ViTMAEForPreTraining
from keras_tx.models.vit.variants import (
    vit_base_patch16_224,
    vit_base_patch32_224,
    vit_huge_patch14_224,
    vit_large_patch16_224,
    vit_small_patch16_224,
    vit_tiny_patch16_224,
)

__all__ = [
    "ViTBackbone",
    "ViTConfig",
    "ViTDetectionConfig",
    "ViTForMaskedImageModeling",
    "ViTForObjectDetection",
    "ViTForSemanticSegmentation",
    "ViTMAEConfig",
    "ViTMAEForPreTraining",
    "ViTSegmentationConfig",
    "VisionTransformer",
    "vit_base_patch16_224",
    "vit_base_patch32_224",
    "vit_huge_patch14_224",
    "vit_large_patch16_224",
    "vit_small_patch16_224",
    "vit_tiny_patch16_224",
]
