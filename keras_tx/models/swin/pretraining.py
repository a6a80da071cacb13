"""Swin's pre-training: images with hidden patches, reconstructed."""

from __future__ import annotations

from typing import ClassVar

import keras

from keras_tx.models.core.images import MaskedImageModel, masked_pixel_loss
from keras_tx.models.core.registry import register_model
from keras_tx.models.swin.config import TINY_MASKED
from keras_tx.models.swin.huggingface import MASKED
from keras_tx.models.swin.model import SwinBackbone
from keras_tx.ops.image.patches import pair, pixel_shuffle


@register_model(TINY_MASKED)
class SwinForMaskedImageModeling(SwinBackbone, MaskedImageModel):
    """Predicts the pixels of hidden patches (SimMIM, Xie et al. 2021).

    `model({"images": images, "bool_masked_pos": masked})` gives `{"logits": (B, H, W, C), "loss": scalar}`: the pixels,
    and their mean absolute error in the patches that are hidden, `(B, N)`, True where. Without `bool_masked_pos`
    nothing is hidden, and there is no loss. It trains with `compile(optimizer)` alone.

    Each token of the last stage becomes `encoder_stride` x `encoder_stride` pixels, so that the images have to be that
    many times as high and wide as the last map.

    Args:
        config: a `SwinConfig`; Swin-T unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    formats: ClassVar = {"huggingface": MASKED}
    adaptable = ("image_size", "window_size")  # other patches, or channels, would be another head

    def make_head(self):
        c = self.config
        if len(set(pair(c.patch_size))) != 1:
            raise ValueError(f"`patch_size` must be one number for masked images; got {c.patch_size}.")
        self.decoder = keras.layers.Conv2D(
            c.encoder_stride**2 * c.channels,
            1,
            kernel_initializer=self.initializer(),
            dtype=self.dtype_policy,
            name="decoder",
        )

    def build(self, input_shape=None):
        super().build(input_shape)
        self.mask_token = self.add_weight(
            shape=(1, 1, self.config.embed_dim), initializer=self.initializer(), name="mask_token"
        )
        self.decoder.build((None, None, None, self.config.widths[-1]))

    def call(
        self,
        images,
        bool_masked_pos=None,
        return_attention: bool = False,
        return_hidden_states: bool = False,
        training=None,
    ):
        """Reconstructs images.

        Args:
            images: `(B, H, W, C)`, floating point, or a dict with them as `"images"`, and `"bool_masked_pos"`.
            bool_masked_pos: `(B, N)`, True or not 0 for each of the N patches, row by row, that is hidden.
            return_attention, return_hidden_states: as `SwinTransformer` takes them.
            training: whether dropout is active.

        Returns:
            A dict of `"logits"`, with `bool_masked_pos` also `"loss"`, and what else was asked for.

        Raises:
            ValueError: for images that `SwinTransformer` does not take, or that differ in size from what is made of
                the last map; for `bool_masked_pos` of another shape.
        """
        images, masked = self.masked_inputs(images, bool_masked_pos)
        inside = self.encode(images, masked, return_attention=return_attention, training=training)
        x = self.decoder(self.final_norm(inside["feature_maps"][-1]))
        pixels = pixel_shuffle(x, self.config.encoder_stride)
        self._require_same_size(pixels, images)
        outputs = {"logits": pixels, **self.asked(inside, return_attention, return_hidden_states)}
        if masked is not None:
            outputs["loss"] = masked_pixel_loss(images, pixels, masked, pair(self.config.patch_size)[0])
        return outputs

    def _require_same_size(self, pixels, images) -> None:
        made, given = tuple(pixels.shape[1:3]), tuple(images.shape[1:3])
        if None not in (*made, *given) and made != given:
            raise ValueError(
                f"`encoder_stride` = {self.config.encoder_stride} makes images of {made} of the last map; got {given}: "
                "they must be equally large."
            )
