"""Swin's pre-training: images with hidden patches, reconstructed."""

from __future__ import annotations

import math

import keras

from keras_tx.models.images import ImageHeadModel, masked_pixel_loss
from keras_tx.models.registry import register_model
from keras_tx.models.swin import SwinBackbone
from keras_tx.models.swin_config import TINY_MASKED
from keras_tx.ops.checks import require_shape
from keras_tx.ops.patches import grid, pair, pixel_shuffle


@register_model(TINY_MASKED)
class SwinForMaskedImageModeling(SwinBackbone, ImageHeadModel):
    """Predicts the pixels of hidden patches (SimMIM, Xie et al. 2021).

    `model({"images": images, "masked": masked})` gives the whole image as `"logits"`, `(B, H, W, C)`, and `"loss"`: the
    mean absolute error of the hidden pixels. Patches are hidden behind a learned token; without `masked` none is, and
    there is no loss. A linear map makes `encoder_stride` x `encoder_stride` pixels of each token of the last stage, so
    that the images' height and width must be that many times the last map's.

    Args:
        config: a `SwinConfig`; Swin-T unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    def make_head(self):
        c = self.config
        if len(set(pair(c.patch_size))) != 1:
            raise ValueError(f"`patch_size` must be one number for masked images; got {c.patch_size}.")
        self.decoder = self.linear(c.encoder_stride**2 * c.channels, "decoder")

    def build(self, input_shape=None):
        super().build(input_shape)
        self.mask_token = self.add_weight(
            shape=(1, 1, self.config.embed_dim), initializer=self.initializer(), name="mask_token"
        )
        self.decoder.build((None, None, None, self.config.widths[-1]))

    def input_signature(self, image_size=None):
        signature = super().input_signature(image_size)
        count = math.prod(grid(image_size or self.config.image_size, self.config.patch_size))
        return {**signature, "masked": keras.InputSpec(name="masked", shape=(None, count), dtype="bool")}

    def call(
        self,
        images,
        masked=None,
        return_attention: bool = False,
        return_hidden_states: bool = False,
        training=None,
    ):
        """Reconstructs images.

        Args:
            images: `(B, H, W, C)`, floating point, or a dict with them as `"images"`, and `"masked"`.
            masked: `(B, N)`, True or not 0 for each of the N patches, row by row, that is hidden.
            return_attention, return_hidden_states: as `SwinTransformer` takes them.
            training: whether dropout is active.

        Returns:
            A dict of `"logits"`, with `masked` also `"loss"`, and what else was asked for.

        Raises:
            ValueError: for images that `SwinTransformer` does not take, or that differ in size from what is made of
                the last map; for `masked` of another shape.
        """
        given = self.named_inputs(images, masked=masked)
        images, masked = given["images"], given["masked"]
        if masked is not None:
            require_shape(masked, (images.shape[0], self._count(images)), "masked")
        inside = self.encode(images, masked, return_attention=return_attention, training=training)
        x = self.decoder(self.final_norm(inside["feature_maps"][-1]))
        pixels = pixel_shuffle(x, self.config.encoder_stride)
        self._require_same_size(pixels, images)
        outputs = {"logits": pixels, **self.asked(inside, return_attention, return_hidden_states)}
        if masked is not None:
            outputs["loss"] = masked_pixel_loss(images, pixels, masked, pair(self.config.patch_size)[0])
        return outputs

    def own_losses(self, outputs, labels):
        raise ValueError('no patch is hidden, so that there is no loss: pass "masked" among the inputs.')

    def _count(self, images) -> int | None:
        """How many patches the images have; None where it is not known yet."""
        size = images.shape[1:3]
        return None if None in size else math.prod(grid(tuple(size), self.config.patch_size))

    def _require_same_size(self, pixels, images) -> None:
        made, given = tuple(pixels.shape[1:3]), tuple(images.shape[1:3])
        if None not in (*made, *given) and made != given:
            raise ValueError(
                f"`encoder_stride` = {self.config.encoder_stride} makes images of {made} of the last map; got {given}: "
                "they must be equally large."
            )
