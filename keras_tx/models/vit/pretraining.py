"""Vision Transformers that learn from images alone: masked images (SimMIM) and masked autoencoders (MAE)."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from keras_tx.layers import TransformerBlock
from keras_tx.layers.image.patch_dropout import keep_lowest, part_of
from keras_tx.models.core.images import ImageHeadModel, MaskedImageModel, masked_pixel_loss
from keras_tx.models.core.registry import register_model
from keras_tx.models.vit.backbone import ViTBackbone
from keras_tx.models.vit.config import TINY, ViTConfig
from keras_tx.models.vit.huggingface import MAE, VIT
from keras_tx.ops.checks import require_divides, require_positive, require_shape
from keras_tx.ops.image.patches import pair, patchify, pixel_shuffle
from keras_tx.ops.image.resample import resample_positions

TINY_SQUARE = TINY.replace(image_size=(9, 15), patch_size=3)


class ViTPixels(ViTBackbone, ImageHeadModel):
    """A backbone whose head gives pixels back; the images are their own labels."""

    adaptable = ("image_size",)  # other patches, or channels, would be another head

    def make_head(self):
        super().make_head()
        if self.config.pad_images:
            raise ValueError("`pad_images` is for classifiers: pixels that are not there cannot be painted.")
        if self.config.stem is not None:
            raise ValueError("`stem` is for classifiers: the patches of its map are not those of the pixels to paint.")

    def answer(self, x, *, return_attention: bool, return_hidden_states: bool, training) -> tuple[Any, dict]:
        """The encoder's output, of what its first block gets, and what else was asked for."""
        states, maps = self.run_blocks(x, return_attention=return_attention, training=training)
        asked: dict[str, Any] = {"attentions": maps} if return_attention else {}
        return self.norm(states[-1]), asked | ({"hidden_states": states} if return_hidden_states else {})


# === Masked images ===


@register_model(TINY_SQUARE)
class ViTForMaskedImageModeling(ViTPixels, MaskedImageModel):
    """A Vision Transformer that paints hidden patches (SimMIM, Xie et al. 2021).

    `model({"images": images, "bool_masked_pos": masked})` gives `{"logits": (B, H, W, C), "loss": scalar}`: the pixels,
    and their mean absolute error in the patches that are hidden, `(B, N)`, True where. Without `bool_masked_pos`
    nothing is hidden, and there is no loss. It trains with `compile(optimizer)` alone.

    Args:
        config: a `ViTConfig` whose patches are square; ViT-B/16 unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    formats: ClassVar = {"huggingface": (VIT,)}

    def make_head(self):
        c = self.config
        super().make_head()
        self.patch_length, width = pair(c.patch_size)
        if self.patch_length != width:
            raise ValueError(f"`patch_size` of {type(self).__name__} must be square; got {c.patch_size}.")
        self.decoder = keras.layers.Conv2D(
            self.patch_length**2 * c.channels,
            1,
            kernel_initializer=self.initializer(),
            dtype=self.dtype_policy,
            name="decoder",
        )

    def build(self, input_shape=None):
        super().build(input_shape)
        self.mask_token = self.token("mask_token")
        self.decoder.build((None, *self.config.grid, self.config.d_model))

    def call(
        self,
        images,
        bool_masked_pos=None,
        return_attention: bool = False,
        return_hidden_states: bool = False,
        training=None,
    ):
        """Paints the hidden patches.

        Args:
            images: `(B, H, W, C)`, floating point, or a dict with them as `"images"` and all else.
            bool_masked_pos: `(B, N)`, True or not 0 for each patch to be hidden.
            return_attention: also give every block's attention map, `(B, heads, T, T)`.
            return_hidden_states: also give the embeddings and every block's output, `(B, T, d_model)`.
            training: whether dropout is active.

        Returns:
            A dict of `"logits"`, the pixels `(B, H, W, C)`; of `"loss"` where patches are hidden; and of what was asked
            for.
        """
        c = self.config
        images, masked = self.masked_inputs(images, bool_masked_pos)
        rows, columns = self._new_grid(images)
        x, asked = self.answer(
            self.embed(images, masked, training=training),
            return_attention=return_attention,
            return_hidden_states=return_hidden_states,
            training=training,
        )
        patches = ops.reshape(x[:, c.prefix_tokens :], (ops.shape(x)[0], rows, columns, c.d_model))
        pixels = pixel_shuffle(self.decoder(patches), self.patch_length)
        outputs = {"logits": pixels, **asked}
        if masked is not None:
            outputs["loss"] = masked_pixel_loss(images, pixels, masked, self.patch_length)
        return outputs


# === Masked autoencoders ===


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViTMAEConfig(ViTConfig):
    """A masked autoencoder; the defaults are MAE base."""

    num_classes: int = 0
    """Not read: there is no classifier."""
    norm_epsilon: float = 1e-12
    decoder_num_layers: int = 8
    decoder_num_heads: int = 16
    decoder_d_model: int = 512
    """Width of the decoder, a multiple of 4, as the encoder's has to be."""
    decoder_d_ff: int = 2048
    mask_ratio: float = 0.75
    """Part of the patches that the encoder does not see."""
    norm_pix_loss: bool = False
    """Whether each patch's pixels are normalized before they are compared."""

    def __post_init__(self):
        super().__post_init__()
        require_positive(
            decoder_num_layers=self.decoder_num_layers,
            decoder_num_heads=self.decoder_num_heads,
            decoder_d_model=self.decoder_d_model,
            decoder_d_ff=self.decoder_d_ff,
        )
        require_divides(self.decoder_d_model, self.decoder_num_heads, "decoder_d_model", "decoder_num_heads")
        for name in ("d_model", "decoder_d_model"):
            if getattr(self, name) % 4:
                raise ValueError(f"`{name}` must be a multiple of 4, for sines and cosines of rows and of columns.")
        if not 0 < self.mask_ratio < 1:
            raise ValueError(f"`mask_ratio` must lie between 0 and 1; got {self.mask_ratio}.")
        if self.prefix_tokens != 1 or not self.class_token or self.no_embed_class:
            raise ValueError("a masked autoencoder has the class token alone before its patches, with a position.")


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


@register_model(TINY_MAE, TINY_MAE.replace(norm_pix_loss=True))
class ViTMAEForPreTraining(ViTPixels):
    """A masked autoencoder (He et al. 2021): the encoder sees a random part of the patches, the decoder paints all.

    `model(images)` gives `{"logits": (B, N, p * q * C), "loss": scalar, "mask": (B, N), "ids_restore": (B, N)}`: the
    pixels of each patch, their mean squared error in the patches that were hidden, 1 where one was, and each patch's
    place in the random order. It trains with `compile(optimizer)` alone.

    Args:
        config: a `ViTMAEConfig`; MAE base unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    config_class = ViTMAEConfig
    config: ViTMAEConfig
    formats: ClassVar = {"huggingface": (MAE,)}

    def make_head(self):
        c = self.config
        super().make_head()
        self.seed_generator = keras.random.SeedGenerator()
        self.decoder_embedding = self.linear(c.decoder_d_model, "decoder_embedding")
        self.decoder_blocks = [
            TransformerBlock(
                c.decoder_d_model,
                c.decoder_num_heads,
                c.decoder_d_ff,
                c.dropout,
                norm_epsilon=c.norm_epsilon,
                activation=c.activation,
                attention_dropout=c.attention_dropout,
                qkv_bias=c.qkv_bias,
                kernel_initializer=self.initializer(),
                dtype=self.dtype_policy,
                name=f"decoder_block_{i}",
            )
            for i in range(c.decoder_num_layers)
        ]
        self.decoder_norm = self.norm_layer("decoder_norm")
        height, width = pair(c.patch_size)
        self.decoder_prediction = self.linear(height * width * c.channels, "decoder_prediction")

    def build(self, input_shape=None):
        c = self.config
        super().build(input_shape)
        hidden = (None, None, c.decoder_d_model)
        self.decoder_embedding.build((None, None, c.d_model))
        self.decoder_mask_token = self.add_weight(
            shape=(1, 1, c.decoder_d_model), initializer=self.initializer(), name="decoder_mask_token"
        )
        self.decoder_position_embedding = self._fixed_positions(c.decoder_d_model, "decoder_position_embedding")
        for layer in (*self.decoder_blocks, self.decoder_norm, self.decoder_prediction):
            layer.build(hidden)

    def make_positions(self):
        return self._fixed_positions(self.config.d_model, "position_embedding")

    def _fixed_positions(self, dim: int, name: str):
        table = sinusoids_on_grid(self.config.grid, dim)
        table = np.concatenate([np.zeros((1, dim)), table])[None]  # the class token has no place
        initializer = keras.initializers.Constant(table)
        return self.add_weight(shape=table.shape, initializer=initializer, trainable=False, name=name)

    @classmethod
    def adapt(cls, path, values, before, after):
        return super().adapt(path.removeprefix("decoder_"), values, before, after)

    def input_signature(self, image_size=None):
        signature = super().input_signature(image_size)
        noise = keras.InputSpec(name="noise", shape=(None, self.patches_in(image_size)), dtype="float32")
        return {**signature, "noise": noise}

    def call(
        self, images, noise=None, return_attention: bool = False, return_hidden_states: bool = False, training=None
    ):
        """Paints images of which a part is seen.

        Args:
            images: `(B, H, W, C)`, floating point, or a dict with them as `"images"` and all else.
            noise: `(B, N)`, a number for each patch; those with the lowest are seen. Drawn unless given, at inference
                too.
            return_attention: also give every map of the encoder, `(B, heads, T, T)`.
            return_hidden_states: also give the embeddings and the output of every block of the encoder.
            training: whether dropout is active.

        Returns:
            A dict of `"logits"`, `"loss"`, `"mask"` and `"ids_restore"`, and of what was asked for.
        """
        c = self.config
        given = self.named_inputs(images, noise=noise)
        images, noise = given["images"], given["noise"]
        x, positions = self.embed_patches(images)
        batch, count, _ = ops.shape(x)
        if noise is None:
            noise = keras.random.uniform((batch, count), seed=self.seed_generator)
        require_shape(noise, (images.shape[0], x.shape[1]), "noise")
        kept = part_of(count, 1 - c.mask_ratio)
        seen, ranks = keep_lowest(x, noise, kept)
        x, asked = self.answer(
            self.normed_embeddings(self.with_prefix(seen, positions), training),
            return_attention=return_attention,
            return_hidden_states=return_hidden_states,
            training=training,
        )
        hidden = ranks >= kept
        pixels = self.decode(x, ranks, hidden, self._new_grid(images), training)
        loss = hidden_patch_loss(patchify(images, c.patch_size), pixels, hidden, normalize=c.norm_pix_loss)
        outputs = {"logits": pixels, "loss": loss, "mask": ops.cast(hidden, "float32"), "ids_restore": ranks}
        return outputs | asked

    def decode(self, x, ranks, hidden, new_grid: tuple, training=None):
        """The pixels of every patch, `(B, N, p * q * C)`.

        Args:
            x: the encoder's output, `(B, 1 + K, d_model)`: the class token and the K patches that it saw.
            ranks: `(B, N)`, each patch's place in the random order, of which the first K were seen.
            hidden: `(B, N)`, True for the others.
            new_grid: height and width of the grid of patches.
            training: whether dropout is active.
        """
        c = self.config
        x = self.decoder_embedding(x)
        places = ops.where(hidden, 0, ranks)
        seen = ops.take_along_axis(x[:, 1:], ops.expand_dims(places, -1), axis=1)
        patches = ops.where(ops.expand_dims(hidden, -1), ops.cast(self.decoder_mask_token, x.dtype), seen)
        table = ops.cast(self.decoder_position_embedding, x.dtype)
        x = ops.concatenate([x[:, :1], patches], axis=1) + resample_positions(table, 1, c.grid, new_grid)
        for block in self.decoder_blocks:
            x = block(x, training=training)
        return self.decoder_prediction(self.decoder_norm(x))[:, 1:]


def sinusoids_on_grid(size: tuple[int, int], dim: int) -> np.ndarray:
    """Fixed positions `(H * W, dim)`: sines and cosines of the column, then of the row (He et al. 2021, appendix)."""
    rows, columns = np.indices(size).reshape(2, -1, 1)
    rates = 10000.0 ** (-np.arange(dim // 4) / (dim // 4))
    return np.concatenate([wave(place * rates) for place in (columns, rows) for wave in (np.sin, np.cos)], axis=1)


def hidden_patch_loss(patches, predicted, hidden, normalize: bool = False):
    """The mean squared error of the pixels of hidden patches (He et al. 2021, section 3).

    Args:
        patches, predicted: `(B, N, P)`, P pixels each.
        hidden: boolean `(B, N)`.
        normalize: compare with each patch's pixels less their mean, divided by their standard deviation.

    Returns:
        float32 scalar.
    """
    patches, predicted = ops.cast(patches, "float32"), ops.cast(predicted, "float32")
    if normalize:
        centred = patches - ops.mean(patches, axis=-1, keepdims=True)
        variance = ops.sum(ops.square(centred), axis=-1, keepdims=True) / (patches.shape[-1] - 1)
        patches = centred / ops.sqrt(variance + 1e-6)
    errors = ops.mean(ops.square(predicted - patches), axis=-1)
    weights = ops.cast(hidden, "float32")
    return ops.sum(errors * weights) / ops.sum(weights)
