"""Vision Transformers that learn from images alone: masked images (SimMIM) and masked autoencoders (MAE)."""

from __future__ import annotations

from typing import ClassVar

from keras_tx.models.core.masked_images import MaskedImageHead, SelfSupervisedModel
from keras_tx.models.core.registry import register_model
from keras_tx.models.vit.backbone import ViTBackbone
from keras_tx.models.vit.config import TINY
from keras_tx.models.vit.huggingface import VIT
from keras_tx.models.vit.mae import MAEDecoder, ViTMAEBackbone, ViTMAEConfig

TINY_SQUARE = TINY.replace(image_size=(9, 15), patch_size=3)
TINY_MAE = ViTMAEConfig(
    image_size=(9, 14),
    patch_size=(3, 2),
    channels=2,
    num_layers=2,
    num_heads=5,
    d_model=20,
    d_ff=29,
    decoder_num_layers=1,
    decoder_num_heads=3,
    decoder_d_model=12,
    decoder_d_ff=17,
    mask_ratio=0.7,
)


@register_model(TINY_SQUARE)
class ViTForMaskedImageModeling(SelfSupervisedModel):
    """A Vision Transformer that paints hidden patches (SimMIM, Xie et al. 2021).

    `model({"images": images, "bool_masked_pos": masked})` gives `{"logits": (B, H, W, C), "loss": scalar}`: the pixels,
    and their mean absolute error in the patches that are hidden, `(B, N)`, True where. Without `bool_masked_pos`
    nothing is hidden, and there is no loss. It trains with `compile(optimizer)` alone. The patches have to be square.
    """

    backbone_class, head_class = ViTBackbone, MaskedImageHead
    backbone_options: ClassVar = {"mask_token": True}
    formats: ClassVar = {"huggingface": (VIT,)}
    adaptable = ("image_size",)  # other patches, or channels, would be another head


@register_model(TINY_MAE, TINY_MAE.replace(norm_pix_loss=True))
class ViTMAEForPreTraining(SelfSupervisedModel):
    """A masked autoencoder (He et al. 2021): the encoder sees a random part of the patches, the decoder paints all.

    `model(images)` gives `{"logits": (B, N, p * q * C), "loss": scalar, "mask": (B, N), "ids_restore": (B, N)}`: the
    pixels of each patch, their mean squared error in the patches that were hidden, 1 where one was, and each patch's
    place in the random order. It trains with `compile(optimizer)` alone.
    """

    backbone_class, head_class = ViTMAEBackbone, MAEDecoder

    @classmethod
    def adapt(cls, path, values, before, after):
        if path == "head/position_embedding":
            path = "backbone/position_embedding"  # the decoder's table, of the same places
        return super().adapt(path, values, before, after)
