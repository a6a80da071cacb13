"""The Vision Transformer (Dosovitskiy et al. 2020), DeiT (Touvron et al. 2021, 2022) and their relatives."""

from __future__ import annotations

from keras_tx.layers.attention.variants import Linear
from keras_tx.models.core.classification import ImageClassifier
from keras_tx.models.core.registry import register_model
from keras_tx.models.vit.backbone import ViTBackbone
from keras_tx.models.vit.config import TINY, TINY_DISTILLED, TINY_HEADLESS, TINY_HYBRID, TINY_MEAN
from keras_tx.models.vit.heads import ViTClassificationHead, mean


@register_model(TINY, TINY_MEAN, TINY_DISTILLED, TINY_HYBRID, TINY_HEADLESS.replace(attention=Linear()))
class VisionTransformer(ImageClassifier):
    """The Vision Transformer as a classifier, or without a head as an encoder of images.

    `model(images)` gives the logits, `(B, num_classes)`; with `num_classes=0`, the features. It trains with
    `compile(loss=...)`.

    Images may be of any size that is a whole number of patches: the position table is resampled to it, bicubically.

    With `distillation_head`, a call in training gives two logits, of the class token and of the distillation token, and
    the loss is the mean of both losses; `y` may then be a pair, of labels and of what the teacher says. Metrics, and
    calls at inference, take the mean of both logits.
    """

    backbone_class, head_class = ViTBackbone, ViTClassificationHead

    def run_head(self, hidden, given, training=None):
        return self.head(hidden, {}, norm=self.backbone.norm, training=training)

    # === Training of two heads ===

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        labels = y if isinstance(y, tuple) else (y, y)
        loss = super().compute_loss
        if not isinstance(y_pred, tuple):
            return loss(x, labels[0], y_pred, sample_weight, training)
        both = [loss(x, of, logits, sample_weight, training) for of, logits in zip(labels, y_pred, strict=True)]
        return sum(both) / len(both)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        y = y[0] if isinstance(y, tuple) else y
        return super().compute_metrics(x, y, mean(y_pred) if isinstance(y_pred, tuple) else y_pred, sample_weight)
