"""Vision Transformers that say something of every place of an image: segmentation and detection."""

from __future__ import annotations

import dataclasses

from keras import ops

from keras_tx.layers.image.feature_pyramid import SimpleFeaturePyramid, pyramid_widths
from keras_tx.models.core.dense import DenseModel
from keras_tx.models.core.detection import DetectionConfig, ObjectDetection
from keras_tx.models.core.registry import register_model
from keras_tx.models.core.segmentation import SegmentationConfig, SemanticSegmentation
from keras_tx.models.vit.backbone import ViTBackbone
from keras_tx.models.vit.config import TINY, ViTConfig
from keras_tx.models.vit.model import VisionTransformer


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViTSegmentationConfig(SegmentationConfig, ViTConfig):
    """A Vision Transformer that segments images."""

    pyramid_scales: tuple[float, ...] = (4, 2, 1, 0.5)
    """Of the maps that are decoded, in the grid of patches: powers of 2, from fine to coarse."""

    def __post_init__(self):
        super().__post_init__()
        pyramid_widths(self.d_model, self.pyramid_scales)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViTDetectionConfig(DetectionConfig, ViTConfig):
    """A Vision Transformer that detects objects."""


class ViTFeatures(ViTBackbone, DenseModel):
    """Maps of what blocks of a Vision Transformer make of the patches, all of one scale."""

    backbone_class = VisionTransformer

    def make_head(self):
        super().make_head()
        if self.config.patch_dropout:
            raise ValueError("`patch_dropout` is for classifiers: a patch that is left out has no place in a map.")

    @property
    def read_blocks(self) -> tuple[int, ...]:
        """The numbers of the blocks, from 1, that are read."""
        return (self.config.num_layers,)

    @property
    def feature_widths(self):
        return (self.config.d_model,) * len(self.read_blocks)

    def padded(self, images):
        return self._padded(images)

    def features(self, images, *, return_attention=False, return_hidden_states=False, training=None):
        c = self.config
        x = self.embed(images, training=training)
        states, attentions = self.run_blocks(x, return_attention=return_attention, training=training)
        shape = (-1, *self._new_grid(images), c.d_model)
        maps = tuple(ops.reshape(self.norm(states[i])[:, c.prefix_tokens :], shape) for i in self.read_blocks)
        asked = {"attentions": attentions} if return_attention else {}
        return maps, asked | ({"hidden_states": states} if return_hidden_states else {})


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
class ViTForSemanticSegmentation(SemanticSegmentation, ViTFeatures):
    """A Vision Transformer that gives each pixel a class.

    `model(images)` gives `{"logits": (B, H, W, num_classes)}`; with `labels`, `(B, H, W)`, also `"loss"`: their mean
    cross-entropy, pixels of `semantic_loss_ignore_index` not counting. Images may be of any size. It trains with
    `compile(optimizer)` alone; its metric is Keras's, `MeanIoU(num_classes, sparse_y_pred=False, ignore_class=255)`.

    The outputs of blocks at equal distances, the last among them, become maps of `pyramid_scales` (Li et al. 2022), and
    these one map (Kirillov et al. 2019), whose logits are enlarged to the image.

    Args:
        config: a `ViTSegmentationConfig`; ViT-B/16 unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    config_class = ViTSegmentationConfig
    config: ViTSegmentationConfig

    def make_head(self):
        c = self.config
        self.pyramid = SimpleFeaturePyramid(
            c.d_model,
            c.pyramid_scales,
            kernel_initializer=self.initializer(),
            dtype=self.dtype_policy,
            name="pyramid",
        )
        super().make_head()

    def build(self, input_shape=None):
        super().build(input_shape)
        self.pyramid.build()

    @property
    def read_blocks(self):
        count = len(self.config.pyramid_scales)
        return tuple(-(-self.config.num_layers * i // count) for i in range(1, count + 1))

    @property
    def feature_widths(self):
        return self.pyramid.widths

    def features(self, images, **options):
        maps, asked = super().features(images, **options)
        return self.pyramid(maps), asked


@register_model(TINY_DETECTION)
class ViTForObjectDetection(ObjectDetection, ViTFeatures):
    """A Vision Transformer that finds objects: DETR's decoder (Carion et al. 2020) over the encoded patches.

    `model(images)` gives `{"logits": (B, num_queries, num_classes + 1), "pred_boxes": (B, num_queries, 4)}`; with
    `class_labels`, `(B, M)`, and `boxes`, `(B, M, 4)`, also `"loss"`. `detect` gives the objects of each image. Images
    may be of any size. It trains with `compile(optimizer)` alone, on `y` a dict of both labels; `AveragePrecision` is
    its metric.

    Args:
        config: a `ViTDetectionConfig`; ViT-B/16 unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    config_class = ViTDetectionConfig
    config: ViTDetectionConfig
