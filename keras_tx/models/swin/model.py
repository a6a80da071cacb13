"""The Swin Transformer (Liu et al. 2021, 2022) as a classifier of images."""

from __future__ import annotations

from keras_tx.models.core.classification import ImageClassificationHead, ImageClassifier
from keras_tx.models.core.registry import register_model
from keras_tx.models.swin.backbone import SwinBackbone
from keras_tx.models.swin.config import TINY, TINY_PADDED, TINY_V2


@register_model(TINY, TINY_V2, TINY_PADDED)
class SwinTransformer(ImageClassifier):
    """The Swin Transformer as a classifier, or without a head as an encoder of images.

    `model(images)` gives the logits, `(B, num_classes)`; with `num_classes=0`, the features: the mean of the normalized
    tokens of the last stage. It trains with `compile(loss=...)`.

    Images may be of any size that is a whole number of patches.
    """

    backbone_class, head_class = SwinBackbone, ImageClassificationHead
