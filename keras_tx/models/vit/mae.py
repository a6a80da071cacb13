"""Masked autoencoders (MAE, He et al. 2021): an encoder that sees a part of the patches, a decoder that paints all."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from keras_tx.layers import TransformerBlock
from keras_tx.layers.core.base import register
from keras_tx.layers.core.initializers import clone_initializer
from keras_tx.layers.image.patch_dropout import keep_lowest, part_of
from keras_tx.layers.image.patches import require_whole_patches
from keras_tx.models.core.images import ImageHead
from keras_tx.models.core.registry import register_model
from keras_tx.models.vit.backbone import ViTEncoder
from keras_tx.models.vit.config import ViTConfig
from keras_tx.models.vit.huggingface import MAE
from keras_tx.ops.checks import require_divides, require_positive, require_shape
from keras_tx.ops.image.patches import grid as patch_grid
from keras_tx.ops.image.patches import pair, patchify
from keras_tx.ops.image.resample import resample_positions
from keras_tx.ops.losses import weighted
from keras_tx.ops.replicas import mean


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViTMAEConfig(ViTConfig):
    """A masked autoencoder; the defaults are MAE base."""

    head_fields = ViTConfig.head_fields | {
        "decoder_num_layers",
        "decoder_num_heads",
        "decoder_d_model",
        "decoder_d_ff",
        "norm_pix_loss",
    }

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
        for length, part in zip(pair(self.image_size), self.stride, strict=True):
            require_divides(length, part, "image_size", "patch_size")
        for name in ("d_model", "decoder_d_model"):
            if getattr(self, name) % 4:
                raise ValueError(f"`{name}` must be a multiple of 4, for sines and cosines of rows and of columns.")
        if not 0 < self.mask_ratio < 1:
            raise ValueError(f"`mask_ratio` must lie between 0 and 1; got {self.mask_ratio}.")
        if self.pad_images:
            raise ValueError("`pad_images` is for classifiers: pixels that are not there cannot be painted.")
        if self.stem is not None:
            raise ValueError("`stem` is for classifiers: the patches of its map are not those of the pixels to paint.")
        if self.patch_dropout:
            raise ValueError("`patch_dropout` is for classifiers: of a masked autoencoder `mask_ratio` is hidden.")
        if self.prefix_tokens != 1 or not self.class_token or self.no_embed_class:
            raise ValueError("a masked autoencoder has the class token alone before its patches, with a position.")


@register_model()
class ViTMAEBackbone(ViTEncoder):
    """A masked autoencoder's encoder, with fixed positions: it sees a random part of the patches.

    `backbone(images)` gives `{"last_hidden_state": (B, 1 + K, d_model), "mask": (B, N), "ids_restore": (B, N)}`: the
    class token and the K patches that it saw, 1 for each patch that was hidden, and each patch's place in the random
    order, of which the first K were seen.
    """

    config_class = ViTMAEConfig
    config: ViTMAEConfig
    formats: ClassVar = {"huggingface": (MAE,)}
    input_names: tuple[str, ...] = ("images", "noise")
    adaptable = ("image_size",)  # other patches, or channels, would be another head

    def __init__(self, config: ViTMAEConfig | None = None, *, name: str | None = None, dtype=None, **overrides):
        super().__init__(config, name=name, dtype=dtype, **overrides)
        self.seed_generator = keras.random.SeedGenerator()
        self.build()

    def build(self, input_shape=None):
        super().build(input_shape)
        self.position_embedding = add_fixed_positions(self, self.config.grid, self.config.d_model)

    def hidden(self, images, noise=None, *, return_attention=False, training=None):
        require_whole_patches(images, self.config.stride)
        x, positions = self._patches(images)
        batch, count, _ = ops.shape(x)
        if noise is None:
            noise = keras.random.uniform((batch, count), seed=self.seed_generator)
        require_shape(noise, (images.shape[0], x.shape[1]), "noise")
        kept = part_of(count, 1 - self.config.mask_ratio)
        seen, ranks = keep_lowest(x, noise, kept)
        x = self._with_prefix(seen, positions)
        outputs = self._encode(x, return_attention=return_attention, training=training)
        return {**outputs, "mask": ops.cast(ranks >= kept, "float32"), "ids_restore": ranks}

    def levels(self, count):
        raise ValueError("a masked autoencoder sees a part of the patches, of which there is no map.")


@register
class MAEDecoder(ImageHead):
    """Blocks that paint every patch, of the patches that the encoder saw: `(B, 1 + K, D)` to `(B, N, p * q * C)`.

    The loss is the mean squared error of the pixels in the patches that were hidden.

    Args:
        width: D.
        grid: rows and columns of patches in the table of positions.
        patch_size: p and q.
        channels: C.
        num_layers, num_heads, d_model, d_ff, activation, norm_epsilon, dropout, attention_dropout, qkv_bias: of the
            blocks, as `TransformerBlock` takes them.
        norm_pix_loss: whether each patch's pixels are normalized before they are compared.
        kernel_initializer: of all kernels.
    """

    def __init__(
        self,
        width: int,
        grid: tuple[int, int],
        patch_size: tuple[int, int],
        channels: int,
        num_layers: int,
        num_heads: int,
        d_model: int,
        d_ff: int,
        activation: str = "gelu",
        norm_epsilon: float = 1e-12,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        qkv_bias: bool = True,
        norm_pix_loss: bool = False,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.width = width
        self.grid = pair(grid)
        self.patch_size = pair(patch_size)
        self.channels = channels
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.d_model = d_model
        self.d_ff = d_ff
        self.activation = activation
        self.norm_epsilon = norm_epsilon
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.qkv_bias = qkv_bias
        self.norm_pix_loss = norm_pix_loss
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.embedding = self.linear(d_model, "embedding")
        self.blocks = [self._block(i) for i in range(num_layers)]
        self.norm = keras.layers.LayerNormalization(epsilon=norm_epsilon, dtype=self.dtype_policy, name="norm")
        height, width = self.patch_size
        self.prediction = self.linear(height * width * channels, "prediction")

    def _block(self, index: int) -> TransformerBlock:
        return TransformerBlock(
            self.d_model,
            self.num_heads,
            self.d_ff,
            self.dropout,
            norm_epsilon=self.norm_epsilon,
            activation=self.activation,
            attention_dropout=self.attention_dropout,
            qkv_bias=self.qkv_bias,
            kernel_initializer=clone_initializer(self.kernel_initializer),
            dtype=self.dtype_policy,
            name=f"block_{index}",
        )

    @classmethod
    def of(cls, backbone, config, **options):
        return cls(
            backbone.width,
            config.grid,
            pair(config.patch_size),
            config.channels,
            config.decoder_num_layers,
            config.decoder_num_heads,
            config.decoder_d_model,
            config.decoder_d_ff,
            config.activation,
            config.norm_epsilon,
            config.dropout,
            config.attention_dropout,
            config.qkv_bias,
            config.norm_pix_loss,
            backbone.initializer(),
            **options,
        )

    def build(self, input_shape=None):
        hidden = (None, None, self.d_model)
        self.embedding.build((None, None, self.width))
        self.mask_token = self.add_weight(
            shape=(1, 1, self.d_model), initializer=clone_initializer(self.kernel_initializer), name="mask_token"
        )
        self.position_embedding = add_fixed_positions(self, self.grid, self.d_model)
        for layer in (*self.blocks, self.norm, self.prediction):
            layer.build(hidden)

    def call(self, outputs, inputs, training=None):
        hidden, ranks = outputs["mask"] > 0.5, outputs["ids_restore"]
        x = self.embedding(outputs["last_hidden_state"])
        places = ops.where(hidden, 0, ranks)
        seen = ops.take_along_axis(x[:, 1:], ops.expand_dims(places, -1), axis=1)
        patches = ops.where(ops.expand_dims(hidden, -1), ops.cast(self.mask_token, x.dtype), seen)
        new = patch_grid(ops.shape(inputs["images"])[1:3], self.patch_size)
        table = resample_positions(ops.cast(self.position_embedding, x.dtype), 1, self.grid, new)
        x = ops.concatenate([x[:, :1], patches], axis=1) + table
        for block in self.blocks:
            x = block(x, training=training)
        pixels = self.prediction(self.norm(x))[:, 1:]
        return {"logits": pixels, "mask": ops.cast(hidden, "float32"), "ids_restore": ranks}

    def own_losses(self, outputs, labels, weights):
        patches = patchify(labels["images"], self.patch_size)
        options = {"normalize": self.norm_pix_loss, "sample_weight": weights.get("images")}
        return {"loss": hidden_patch_loss(patches, outputs["logits"], outputs["mask"], **options)}


def add_fixed_positions(layer: keras.Layer, size: tuple[int, int], dim: int):
    """A weight of the layer's that is not trained, `(1, 1 + H * W, dim)`: 0 for the class token, then sinusoids."""
    table = np.concatenate([np.zeros((1, dim)), sinusoids_on_grid(size, dim)])[None]
    initializer = keras.initializers.Constant(table)
    return layer.add_weight(shape=table.shape, initializer=initializer, trainable=False, name="position_embedding")


def sinusoids_on_grid(size: tuple[int, int], dim: int) -> np.ndarray:
    """Fixed positions `(H * W, dim)`: sines and cosines of the column, then of the row (He et al. 2021, appendix)."""
    rows, columns = np.indices(size).reshape(2, -1, 1)
    rates = 10000.0 ** (-np.arange(dim // 4) / (dim // 4))
    return np.concatenate([wave(place * rates) for place in (columns, rows) for wave in (np.sin, np.cos)], axis=1)


def hidden_patch_loss(patches, predicted, hidden, normalize: bool = False, *, sample_weight: Any = None):
    """The mean squared error of the pixels of hidden patches (He et al. 2021, section 3).

    Args:
        patches, predicted: `(B, N, P)`, P pixels each.
        hidden: `(B, N)`, 1 or True for patches that were hidden.
        normalize: compare with each patch's pixels less their mean, divided by their standard deviation.
        sample_weight: of each image, `(B,)`.

    Returns:
        float32 scalar.
    """
    patches, predicted = ops.cast(patches, "float32"), ops.cast(predicted, "float32")
    if normalize:
        centred = patches - ops.mean(patches, axis=-1, keepdims=True)
        variance = ops.sum(ops.square(centred), axis=-1, keepdims=True) / (patches.shape[-1] - 1)
        patches = centred / ops.sqrt(variance + 1e-6)
    errors = weighted(ops.mean(ops.square(predicted - patches), axis=-1), sample_weight)
    return mean(errors, ops.cast(hidden, "float32"))
