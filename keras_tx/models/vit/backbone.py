"""What all Vision Transformers share: from an image to hidden states."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from keras_tx.layers import PatchEmbedding, TransformerBlock
from keras_tx.layers.core.dropout import Dropout
from keras_tx.layers.core.linear import Linear
from keras_tx.layers.image.patch_dropout import PatchDropout
from keras_tx.layers.image.patches import require_whole_patches
from keras_tx.layers.image.resnet_stem import ResNetStem, resnet_width
from keras_tx.models.core.images import ImageModel, hide_patches
from keras_tx.models.vit.config import ViTConfig
from keras_tx.ops.image.patches import Size, grid
from keras_tx.ops.image.resample import adapt_kernel, resample_positions


class ViTBackbone(ImageModel):
    """Patches, tokens, positions and blocks; a head makes a model of it.

    Args:
        config: a `ViTConfig`; ViT-B/16 unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    config_class = ViTConfig
    config: ViTConfig
    adaptable: ClassVar[tuple[str, ...]] = ("image_size", "patch_size", "channels")

    def __init__(self, config: ViTConfig | None = None, *, name: str | None = None, dtype=None, **overrides: Any):
        super().__init__(config, name=name, dtype=dtype, **overrides)
        c = self.config
        if c.stem is not None:
            self.stem = ResNetStem(c.stem, c.channels, dtype=self.dtype_policy, name="stem")
        self.patch_embedding = PatchEmbedding(
            c.patch_size,
            c.d_model,
            c.channels if c.stem is None else resnet_width(c.stem),
            use_bias=not c.pre_norm,
            kernel_initializer=self.initializer(),
            dtype=self.dtype_policy,
            name="patch_embedding",
        )
        self.patch_drop = PatchDropout(c.patch_dropout, dtype=self.dtype_policy, name="patch_drop")
        self.embedding_drop = Dropout(c.position_dropout, dtype=self.dtype_policy, name="embedding_drop")
        if c.pre_norm:
            self.embedding_norm = self.norm_layer("embedding_norm")
        rates = np.linspace(0.0, c.drop_path, c.num_layers)
        self.blocks = [self._block(i, float(rate)) for i, rate in enumerate(rates)]
        self.make_head()
        self.build()

    def _block(self, index: int, drop_path: float) -> TransformerBlock:
        c = self.config
        return TransformerBlock(
            c.d_model,
            c.num_heads,
            c.d_ff,
            c.dropout,
            norm_epsilon=c.norm_epsilon,
            activation=c.activation,
            gated=c.gated,
            attention_dropout=c.attention_dropout,
            attention_variant=c.attention,
            layer_index=index,
            drop_path=drop_path,
            qkv_bias=c.qkv_bias,
            qk_norm=c.qk_norm,
            layer_scale=c.layer_scale,
            kernel_initializer=self.initializer(),
            dtype=self.dtype_policy,
            name=f"block_{index}",
        )

    def norm_layer(self, name: str) -> keras.layers.LayerNormalization:
        """A layer norm with the config's epsilon."""
        return keras.layers.LayerNormalization(epsilon=self.config.norm_epsilon, dtype=self.dtype_policy, name=name)

    def linear(self, units: int, name: str) -> Linear:
        """A linear map."""
        return Linear(units, kernel_initializer=self.initializer(), dtype=self.dtype_policy, name=name)

    def initializer(self):
        """A new initializer of kernels, tokens and tables."""
        return keras.initializers.TruncatedNormal(stddev=self.config.initializer_range)

    def make_head(self) -> None:
        """Makes the layers after the blocks."""
        self.norm = self.norm_layer("norm")

    def build(self, input_shape=None):
        c = self.config
        hidden = (None, None, c.d_model)
        if c.stem is not None:
            self.stem.build()
        self.patch_embedding.build()
        for name, count in self._prefix().items():
            setattr(self, name, self.token(name, count))
        self.position_embedding = self.make_positions()
        if c.pre_norm:
            self.embedding_norm.build(hidden)
        for block in self.blocks:
            block.build(hidden)
        self.norm.build(hidden)

    def _prefix(self) -> dict[str, int]:
        """The tokens before the patches, in order: names, and how many of each."""
        c = self.config
        counts = {
            "class_token": int(c.class_token),
            "distillation_token": int(c.distillation_token),
            "register_tokens": c.register_tokens,
        }
        return {name: count for name, count in counts.items() if count}

    def token(self, name: str, count: int = 1):
        """A weight `(1, count, d_model)`."""
        return self.add_weight(shape=(1, count, self.config.d_model), initializer=self.initializer(), name=name)

    def make_positions(self):
        """The position table, `(1, rows, d_model)`."""
        rows = self.config.position_rows + self.patches_in()
        return self.token("position_embedding", rows)

    @classmethod
    def adapt(cls, path, values, before, after):
        if path == "position_embedding":
            return resample_positions(values, before.position_rows, before.grid, after.grid)
        if path == "stem/conv/kernel":
            return adapt_kernel(values, values.shape[:2], after.channels)
        if path == "patch_embedding/kernel" and after.stem is not None:
            return adapt_kernel(values, after.patch_size, values.shape[2])
        return super().adapt(path, values, before, after)

    # --- From images to hidden states ---

    def embed_patches(self, images, masked=None):
        """The patches' embeddings with their positions, `(B, N, d_model)`; and the positions of what comes before.

        Args:
            images: `(B, H, W, C)`.
            masked: `(B, N)`, True where a patch's embedding is to be the mask token.
        """
        c = self.config
        images = self._padded(images) if c.pad_images else images
        require_whole_patches(images, c.stride)
        x = self.patch_embedding(images if c.stem is None else self.stem(images))
        if masked is not None:
            x = hide_patches(x, masked, self.mask_token)
        new = self._new_grid(images)
        table = resample_positions(ops.cast(self.position_embedding, x.dtype), c.position_rows, c.grid, new)
        return x + table[:, c.position_rows :], table[:, : c.position_rows]

    def _new_grid(self, images) -> tuple:
        """How many patches these images are high and wide; tensors where it is not known yet."""
        _, height, width, _ = ops.shape(images)
        return grid((height, width), self.config.stride)

    def patches_in(self, image_size: Size | None = None) -> int:
        """The number of patches of an image of this size; the config's unless given."""
        return math.prod(grid(image_size or self.config.image_size, self.config.stride))

    def _padded(self, images):
        _, height, width, _ = ops.shape(images)
        p, q = self.config.stride
        return ops.pad(images, [(0, 0), (0, -height % p), (0, -width % q), (0, 0)])

    def with_prefix(self, x, positions):
        """The tokens before the patches, then the patches: `(B, prefix + N, d_model)`."""
        names = list(self._prefix())
        if not names:
            return x
        prefix = ops.concatenate([ops.cast(getattr(self, name), x.dtype) for name in names], axis=1)
        prefix = prefix if self.config.no_embed_class else prefix + positions
        return ops.concatenate([ops.repeat(prefix, ops.shape(x)[0], axis=0), x], axis=1)

    def embed(self, images, masked=None, training=None):
        """What the first block gets: `(B, prefix + N, d_model)`."""
        x, positions = self.embed_patches(images, masked)
        x = self.with_prefix(self.patch_drop(x, training=training), positions)
        return self.normed_embeddings(x, training)

    def normed_embeddings(self, x, training=None):
        """Dropout on the embeddings, and their norm where there is one."""
        x = self.embedding_drop(x, training=training)
        return self.embedding_norm(x) if self.config.pre_norm else x

    def run_blocks(self, x, *, return_attention: bool = False, training=None) -> tuple[tuple, tuple]:
        """The hidden states, of the embeddings and of each block, and the attention maps if asked for."""
        states, maps = [x], list[Any]()
        for block in self.blocks:
            result = block(x, return_attention=return_attention, training=training)
            x, *weights = result if return_attention else (result,)
            states.append(x)
            maps.extend(weights)
        return tuple(states), tuple(maps)
