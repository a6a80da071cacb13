"""Swin's pre-training: images with hidden patches, reconstructed."""

from __future__ import annotations

from typing import ClassVar

from keras_tx.models.core.masked_images import MaskedImageHead, SelfSupervisedModel
from keras_tx.models.core.registry import register_model
from keras_tx.models.swin.backbone import SwinBackbone
from keras_tx.models.swin.config import TINY_MASKED
from keras_tx.models.swin.huggingface import MASKED


@register_model(TINY_MASKED)
class SwinForMaskedImageModeling(SelfSupervisedModel):
    """Predicts the pixels of hidden patches (SimMIM, Xie et al. 2021).

    `model({"images": images, "bool_masked_pos": masked})` gives `{"logits": (B, H, W, C), "loss": scalar}`: the pixels,
    and their mean absolute error in the patches that are hidden, `(B, N)`, True where. Without `bool_masked_pos`
    nothing is hidden, and there is no loss. It trains with `compile(optimizer)` alone.

    Each token of the last stage becomes `encoder_stride` x `encoder_stride` pixels, so that the images have to be that
    many times as high and wide as the last map. The patches have to be square.
    """

    backbone_class, head_class = SwinBackbone, MaskedImageHead
    backbone_options: ClassVar = {"mask_token": True}
    formats: ClassVar = {"huggingface": MASKED}
    adaptable = ("image_size", "window_size")  # other patches, or channels, would be another head
