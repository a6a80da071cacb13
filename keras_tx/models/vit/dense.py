"""Vision Transformers that say something of every place of an image: segmentation and detection."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from keras_tx.layers.image.feature_pyramid import SimpleFeaturePyramid, pyramid_widths
from keras_tx.models.core.dense import DenseModel
from keras_tx.models.core.detection import DetectionConfig, ObjectDetection
from keras_tx.models.core.images import ImageBackbone
from keras_tx.models.core.registry import register_model
from keras_tx.models.core.segmentation import SegmentationConfig, SemanticSegmentationHead
from keras_tx.models.vit.backbone import ViTBackbone
from keras_tx.models.vit.config import TINY, ViTConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViTSegmentationConfig(SegmentationConfig, ViTConfig):
    """A Vision Transformer that segments images."""

    head_fields = SegmentationConfig.head_fields | ViTConfig.head_fields | {"pyramid_scales"}

    pyramid_scales: tuple[float, ...] = (4, 2, 1, 0.5)
    """The scales of the maps that are decoded, in the grid of patches: powers of 2, from fine to coarse."""

    def __post_init__(self):
        super().__post_init__()
        pyramid_widths(self.d_model, self.pyramid_scales)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViTDetectionConfig(DetectionConfig, ViTConfig):
    """A Vision Transformer that detects objects."""

    head_fields = DetectionConfig.head_fields | ViTConfig.head_fields


def pyramid(backbone: ImageBackbone, config: Any) -> SimpleFeaturePyramid:
    """The layer that makes maps of `config.pyramid_scales` of the outputs of as many blocks."""
    return SimpleFeaturePyramid(
        backbone.width,
        config.pyramid_scales,
        kernel_initializer=backbone.initializer(),
        dtype=backbone.dtype_policy,
        name="neck",
    )


TINY_SEGMENTATION = ViTSegmentationConfig.from_dict(TINY.to_dict()).replace(
    decoder_width=11, pyramid_scales=(2, 1, 0.5)
)
TINY_DETECTION = ViTDetectionConfig.from_dict(TINY.to_dict()).replace(
    num_layers=1,
    num_queries=7,
    decoder_num_layers=2,
    decoder_num_heads=2,
    decoder_d_model=12,
    decoder_d_ff=17,
    decoder_dropout=0.0,
)


@register_model(TINY_SEGMENTATION)
class ViTForSemanticSegmentation(DenseModel):
    """A Vision Transformer that gives each pixel a class.

    `model(images)` gives `{"logits": (B, H, W, num_classes)}`; with `labels`, `(B, H, W)`, also `"loss"`: their mean
    cross-entropy, pixels of `semantic_loss_ignore_index` not counting. Images may be of any size. It trains with
    `compile(optimizer)` alone; its metric is Keras's, `MeanIoU(num_classes, sparse_y_pred=False, ignore_class=255)`.

    The outputs of blocks at equal distances, the last among them, become maps of `pyramid_scales` (Li et al. 2022), and
    these one map (Kirillov et al. 2019), whose logits are enlarged to the image.
    """

    config_class = ViTSegmentationConfig
    backbone_class, head_class = ViTBackbone, SemanticSegmentationHead

    def head_arguments(self):
        return {"neck": pyramid(self.backbone, self.config)}

    formats: ClassVar = {}


@register_model(TINY_DETECTION)
class ViTForObjectDetection(ObjectDetection):
    """A Vision Transformer that finds objects: DETR's decoder (Carion et al. 2020) over the encoded patches.

    What it takes and gives stands at `ObjectDetection`.
    """

    config_class = ViTDetectionConfig
    backbone_class = ViTBackbone
    formats: ClassVar = {}
