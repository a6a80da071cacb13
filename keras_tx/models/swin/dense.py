"""Swin Transformers that say something of every place of an image: segmentation and detection."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import keras

from keras_tx.layers.core.base import Layer, register
from keras_tx.models.core.dense import DenseModel
from keras_tx.models.core.detection import DetectionConfig, ObjectDetection
from keras_tx.models.core.images import ImageBackbone
from keras_tx.models.core.registry import register_model
from keras_tx.models.core.segmentation import SegmentationConfig, SemanticSegmentationHead
from keras_tx.models.swin.backbone import SwinBackbone
from keras_tx.models.swin.config import TINY, SwinConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class SwinSegmentationConfig(SegmentationConfig, SwinConfig):
    """A Swin Transformer that segments images."""

    head_fields = SegmentationConfig.head_fields | SwinConfig.head_fields


@dataclasses.dataclass(frozen=True, kw_only=True)
class SwinDetectionConfig(DetectionConfig, SwinConfig):
    """A Swin Transformer that detects objects."""

    head_fields = DetectionConfig.head_fields | SwinConfig.head_fields


@register
class StageNorms(Layer):
    """A norm for each stage's map but the last, which comes normalized.

    Input and output: a tuple of maps, `(B, h, w, widths[i])`.

    Args:
        widths: of the maps.
        norm_epsilon: added to the variance.
    """

    def __init__(self, widths: tuple[int, ...], norm_epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        self.widths = tuple(widths)
        self.norm_epsilon = norm_epsilon
        self.norms = [
            keras.layers.LayerNormalization(epsilon=norm_epsilon, dtype=self.dtype_policy, name=f"stage_norm_{stage}")
            for stage in range(len(self.widths) - 1)
        ]

    def build(self, input_shape=None):
        for norm, width in zip(self.norms, self.widths, strict=False):
            norm.build((None, None, None, width))

    def call(self, maps):
        return (*(norm(x) for norm, x in zip(self.norms, maps, strict=False)), maps[-1])


def stage_norms(backbone: ImageBackbone, config: Any) -> StageNorms:
    """The layer that normalizes the maps of all stages."""
    return StageNorms(backbone.widths, config.norm_epsilon, dtype=backbone.dtype_policy, name="neck")


TINY_ODD = TINY.replace(image_size=(13, 17), pad_images=True)
TINY_SEGMENTATION = SwinSegmentationConfig.from_dict(TINY_ODD.to_dict()).replace(decoder_width=11)
TINY_DETECTION = SwinDetectionConfig.from_dict(TINY_ODD.to_dict()).replace(
    num_queries=7,
    decoder_num_layers=1,
    decoder_num_heads=2,
    decoder_d_model=12,
    decoder_d_ff=19,
    decoder_dropout=0.0,
    encoder_num_layers=1,
)


@register_model(TINY_SEGMENTATION)
class SwinForSemanticSegmentation(DenseModel):
    """A Swin Transformer that gives each pixel a class.

    `model(images)` gives `{"logits": (B, H, W, num_classes)}`; with `labels`, `(B, H, W)`, also `"loss"`: their mean
    cross-entropy, pixels of `semantic_loss_ignore_index` not counting. Images may be of any size. It trains with
    `compile(optimizer)` alone; its metric is Keras's, `MeanIoU(num_classes, sparse_y_pred=False, ignore_class=255)`.

    The maps of all stages become one (Kirillov et al. 2019), whose logits are enlarged to the image.
    """

    config_class = SwinSegmentationConfig
    backbone_class, head_class = SwinBackbone, SemanticSegmentationHead

    def head_arguments(self):
        return {"neck": stage_norms(self.backbone, self.config)}

    formats: ClassVar = {}


@register_model(TINY_DETECTION)
class SwinForObjectDetection(ObjectDetection):
    """A Swin Transformer that finds objects: DETR's decoder (Carion et al. 2020) over the last stage's map.

    What it takes and gives stands at `ObjectDetection`.
    """

    config_class = SwinDetectionConfig
    backbone_class = SwinBackbone
    formats: ClassVar = {}
