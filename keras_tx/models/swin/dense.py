"""Swin Transformers that say something of every place of an image: segmentation and detection."""

from __future__ import annotations

import dataclasses

from keras_tx.models.core.dense import DenseModel
from keras_tx.models.core.detection import DetectionConfig, ObjectDetection
from keras_tx.models.core.registry import register_model
from keras_tx.models.core.segmentation import SegmentationConfig, SemanticSegmentation
from keras_tx.models.swin.config import TINY, SwinConfig
from keras_tx.models.swin.model import SwinBackbone, SwinTransformer
from keras_tx.ops.image.patches import pair
from keras_tx.ops.image.windows import pad


@dataclasses.dataclass(frozen=True, kw_only=True)
class SwinSegmentationConfig(SegmentationConfig, SwinConfig):
    """A Swin Transformer that segments images."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SwinDetectionConfig(DetectionConfig, SwinConfig):
    """A Swin Transformer that detects objects."""


class SwinFeatures(SwinBackbone, DenseModel):
    """The maps of all stages of a Swin Transformer, each with a norm of its own."""

    backbone_class = SwinTransformer

    @property
    def read_stages(self) -> tuple[int, ...]:
        """The numbers of the stages that are read."""
        return tuple(range(len(self.config.depths)))

    @property
    def feature_widths(self):
        return tuple(self.config.widths[stage] for stage in self.read_stages)

    def make_head(self):
        super().make_head()
        earlier = self.read_stages[:-1]
        self.stage_norms = [self.norm(f"stage_norm_{stage}", self.config.norm_epsilon) for stage in earlier]

    def build(self, input_shape=None):
        super().build(input_shape)
        for norm, width in zip(self.stage_norms, self.feature_widths, strict=False):
            norm.build((None, None, None, width))

    def padded(self, images):
        return pad(images, pair(self.config.patch_size))

    def features(self, images, *, return_attention=False, return_hidden_states=False, training=None):
        inside = self.encode(images, return_attention=return_attention, training=training)
        norms = (*self.stage_norms, self.final_norm)
        maps = (inside["feature_maps"][stage] for stage in self.read_stages)
        normalized = tuple(norm(x) for norm, x in zip(norms, maps, strict=True))
        return normalized, self.asked(inside, return_attention, return_hidden_states)


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
class SwinForSemanticSegmentation(SemanticSegmentation, SwinFeatures):
    """A Swin Transformer that gives each pixel a class.

    `model(images)` gives `{"logits": (B, H, W, num_classes)}`; with `labels`, `(B, H, W)`, also `"loss"`: their mean
    cross-entropy, pixels of `semantic_loss_ignore_index` not counting. Images may be of any size. It trains with
    `compile(optimizer)` alone; its metric is Keras's, `MeanIoU(num_classes, sparse_y_pred=False, ignore_class=255)`.

    The maps of all stages become one (Kirillov et al. 2019), whose logits are enlarged to the image.

    Args:
        config: a `SwinSegmentationConfig`; Swin-T unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    config_class = SwinSegmentationConfig
    config: SwinSegmentationConfig


@register_model(TINY_DETECTION)
class SwinForObjectDetection(ObjectDetection, SwinFeatures):
    """A Swin Transformer that finds objects: DETR's decoder (Carion et al. 2020) over the last stage's map.

    `model(images)` gives `{"logits": (B, num_queries, num_classes + 1), "pred_boxes": (B, num_queries, 4)}`; with
    `class_labels`, `(B, M)`, and `boxes`, `(B, M, 4)`, also `"loss"`. `detect` gives the objects of each image. Images
    may be of any size. It trains with `compile(optimizer)` alone, on `y` a dict of both labels; `AveragePrecision` is
    its metric.

    Args:
        config: a `SwinDetectionConfig`; Swin-T unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    config_class = SwinDetectionConfig
    config: SwinDetectionConfig

    @property
    def read_stages(self):
        return (len(self.config.depths) - 1,)
