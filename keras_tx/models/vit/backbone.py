"""The Vision Transformers' backbones: patches, tokens, positions, blocks and the final norm."""

from __future__ import annotations

import math
import re
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from keras_tx.layers import PatchEmbedding, TransformerBlock
from keras_tx.layers.core.dropout import Dropout
from keras_tx.layers.image.patch_dropout import PatchDropout
from keras_tx.layers.image.patches import require_whole_patches
from keras_tx.layers.image.resnet_stem import ResNetStem, resnet_width
from keras_tx.models.core.backbone import run_blocks
from keras_tx.models.core.images import ImageBackbone
from keras_tx.models.core.masked_images import hide_patches, require_masks
from keras_tx.models.core.registry import register_model
from keras_tx.models.vit import huggingface, keras_hub, npz, timm
from keras_tx.models.vit.config import ViTConfig
from keras_tx.ops.image.patches import grid
from keras_tx.ops.image.resample import adapt_kernel, resample_positions
from keras_tx.ops.image.windows import pad

_EMBEDDINGS = re.compile(
    r"backbone/(stem|patch_embedding|position_embedding|embedding_norm|(class|distillation|mask)_token"
    r"|register_tokens)(/|$)"
)
"""The weights below the blocks."""


class ViTEncoder(ImageBackbone):
    """The base of the Vision Transformers' backbones. Subclasses make the positions, and embed images.

    Attributes:
        norm: the final norm, of all tokens; a head that pools first applies it to what it has pooled instead.
    """

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
            self.embedding_norm = self._norm("embedding_norm")
        rates = np.linspace(0.0, c.drop_path, c.num_layers)
        self.blocks = [self._block(i, float(rate)) for i, rate in enumerate(rates)]
        self.norm = self._norm("norm")

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
            activation_dropout=c.activation_dropout,
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

    def _norm(self, name: str) -> keras.layers.LayerNormalization:
        return keras.layers.LayerNormalization(epsilon=self.config.norm_epsilon, dtype=self.dtype_policy, name=name)

    def initializer(self):
        return keras.initializers.TruncatedNormal(stddev=self.config.initializer_range)

    def build(self, input_shape=None):
        c = self.config
        hidden = (None, None, c.d_model)
        if c.stem is not None:
            self.stem.build()
        self.patch_embedding.build()
        for name, count in self._prefix().items():
            setattr(self, name, self._token(name, count))
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

    def _token(self, name: str, count: int = 1):
        """A weight `(1, count, d_model)`."""
        return self.add_weight(shape=(1, count, self.config.d_model), initializer=self.initializer(), name=name)

    # === From images to hidden states ===

    def _patches(self, images, masked=None):
        """The patches' embeddings with their positions, `(B, N, d_model)`; and the positions of what comes before.

        Args:
            images: `(B, H, W, C)`.
            masked: `(B, N)`, True where a patch's embedding is to be the mask token.
        """
        c = self.config
        images = pad(images, c.stride) if c.pad_images else images
        if c.stem is not None or masked is not None:  # pixels that are left out could not be painted
            require_whole_patches(images, c.stride)
        new = self.grid_of(images)
        x = self.patch_embedding(images if c.stem is None else self.stem(images))
        x = x if masked is None else hide_patches(x, masked, self.mask_token)
        table = resample_positions(ops.cast(self.position_embedding, x.dtype), c.position_rows, c.grid, new)
        return x + table[:, c.position_rows :], table[:, : c.position_rows]

    def grid_of(self, images) -> tuple:
        """Returns how many patches images are high and wide, padded ones too; tensors where that is not known yet."""
        size, stride = ops.shape(images)[1:3], self.config.stride
        if not self.config.pad_images:
            return grid(size, stride)
        return tuple(-(-length // part) for length, part in zip(size, stride, strict=True))

    def _with_prefix(self, x, positions):
        """The tokens before the patches, then the patches: `(B, prefix + N, d_model)`."""
        names = list(self._prefix())
        if not names:
            return x
        prefix = ops.concatenate([ops.cast(getattr(self, name), x.dtype) for name in names], axis=1)
        prefix = prefix if self.config.no_embed_class else prefix + positions
        return ops.concatenate([ops.repeat(prefix, ops.shape(x)[0], axis=0), x], axis=1)

    def _encode(self, x, *, return_attention: bool = False, training=None) -> dict[str, Any]:
        """The outputs, of tokens and patches with their positions."""
        x = self.embedding_drop(x, training=training)
        x = self.embedding_norm(x) if self.config.pre_norm else x
        outputs = run_blocks(self.blocks, x, return_attention=return_attention, training=training).named
        return {"last_hidden_state": self.norm(outputs["hidden_states"][-1]), **outputs}

    # === Maps ===

    @property
    def num_levels(self):
        return self.config.num_layers

    def levels(self, count):
        if self.config.patch_dropout:
            raise ValueError("`patch_dropout` is for classifiers: a patch that is left out has no place in a map.")
        return super().levels(count)

    def feature_maps(self, outputs, images, levels):
        """The patches of some blocks' outputs, after the final norm."""
        c = self.config
        shape = (-1, *self.grid_of(images), c.d_model)
        last, states = outputs["last_hidden_state"], outputs["hidden_states"]
        normed = [last if level == self.num_levels else self.norm(states[level]) for level in levels]
        return tuple(ops.reshape(x[:, c.prefix_tokens :], shape) for x in normed)

    # === Checkpoints ===

    def layer_depth(self, path):
        return 0 if _EMBEDDINGS.match(path) else super().layer_depth(path)

    @classmethod
    def adapt(cls, path, values, before, after):
        if path == "backbone/position_embedding":
            return resample_positions(values, before.position_rows, before.grid, after.grid)
        if path == "backbone/stem/conv/kernel":
            return adapt_kernel(values, values.shape[:2], after.channels)
        if path == "backbone/patch_embedding/kernel" and after.stem is not None:
            return adapt_kernel(values, after.patch_size, values.shape[2])
        return super().adapt(path, values, before, after)


@register_model()
class ViTBackbone(ViTEncoder):
    """The Vision Transformer's encoder: `backbone(images)` gives `{"last_hidden_state": (B, T, d_model)}`.

    Images may be of any size that is a whole number of patches: the position table is resampled to it, bicubically.

    Args:
        config: a `ViTConfig`; ViT-B/16 unless given.
        mask_token: whether there is one, for patches that `bool_masked_pos` hides.
        name, dtype, overrides: as `Model` takes them.
    """

    config_class = ViTConfig
    formats: ClassVar = {
        "huggingface": huggingface.FAMILIES,
        "timm": timm.FAMILIES,
        "keras_hub": keras_hub.FAMILIES,
        "npz": npz.FAMILIES,
    }

    def __init__(
        self,
        config: ViTConfig | None = None,
        *,
        mask_token: bool = False,
        name: str | None = None,
        dtype=None,
        **overrides: Any,
    ):
        super().__init__(config, name=name, dtype=dtype, **overrides)
        self.hides_patches = mask_token
        self.build()

    @property
    def options(self):
        return {"mask_token": self.hides_patches}

    def build(self, input_shape=None):
        super().build(input_shape)
        self.position_embedding = self._token(
            "position_embedding", self.config.position_rows + math.prod(self.config.grid)
        )
        if self.hides_patches:
            self.mask_token = self._token("mask_token")

    def hidden(self, images, bool_masked_pos=None, *, return_attention=False, training=None):
        require_masks(bool_masked_pos, images, self.config.stride)
        x, positions = self._patches(images, bool_masked_pos)
        x = self._with_prefix(self.patch_drop(x, training=training), positions)
        return self._encode(x, return_attention=return_attention, training=training)
