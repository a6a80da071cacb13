"""Swin Transformers (Liu et al. 2021, 2022): images in stages of shrinking maps, with attention in shifted windows."""

from __future__ import annotations

import math
import re
from typing import Any, ClassVar

import keras
from keras import ops

from keras_tx.layers.core.dropout import Dropout
from keras_tx.layers.core.linear import Linear
from keras_tx.layers.image.patch_merging import PatchMerging
from keras_tx.layers.image.patches import PatchEmbedding
from keras_tx.layers.image.swin_block import SwinBlock
from keras_tx.models.core.images import ImageModel, hide_patches
from keras_tx.models.core.registry import register_model, register_variant
from keras_tx.models.swin import huggingface as swin
from keras_tx.models.swin import timm as swin_timm
from keras_tx.models.swin.config import TINY, TINY_PADDED, TINY_V2, VARIANTS, SwinConfig
from keras_tx.ops.image import windows
from keras_tx.ops.image.patches import grid, pair
from keras_tx.ops.image.resample import resample_positions

EPSILON = 1e-5
"""Of the norms of the patches and between stages, which no config changes."""


class SwinBackbone(ImageModel):
    """Patches and stages of blocks; a head makes a model of it.

    Args:
        config: a `SwinConfig`; Swin-T unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    config_class = SwinConfig
    config: SwinConfig
    adaptable: ClassVar[tuple[str, ...]] = ("image_size", "patch_size", "channels", "window_size")
    mask_token: keras.Variable

    def __init__(self, config: SwinConfig | None = None, *, name: str | None = None, dtype=None, **overrides: Any):
        super().__init__(config, name=name, dtype=dtype, **overrides)
        c = self.config
        self.patch_embedding = PatchEmbedding(
            c.patch_size,
            c.embed_dim,
            c.channels,
            kernel_initializer=self.initializer(),
            dtype=self.dtype_policy,
            name="patch_embedding",
        )
        if c.patch_norm:
            self.patch_norm = self.norm("patch_norm", EPSILON)
        self.patch_drop = Dropout(c.dropout, dtype=self.dtype_policy, name="patch_drop")
        self.stages = [[self._block(stage, block) for block in range(depth)] for stage, depth in enumerate(c.depths)]
        self.mergings = [self._merging(stage) for stage in range(len(c.depths) - 1)]
        self.final_norm = self.norm("final_norm", c.norm_epsilon)
        self.make_head()
        self.build()

    def _block(self, stage: int, block: int) -> SwinBlock:
        c = self.config
        window, shift = c.windows()[stage]
        width = c.widths[stage]
        return SwinBlock(
            width,
            c.num_heads[stage],
            window,
            shift if block % 2 else (0, 0),
            int(c.mlp_ratio * width),
            c.dropout,
            norm_position=c.norm_position,
            norm_epsilon=c.norm_epsilon,
            norm_scale=c.norm_scale,
            activation=c.activation,
            scores=c.scores,
            position_bias=c.position_bias,
            pretrained_window_size=c.pretrained_windows()[stage],
            qkv_bias=c.qkv_bias,
            attention_dropout=c.attention_dropout,
            drop_path=c.drop_path_rates[sum(c.depths[:stage]) + block],
            pad_first=c.window_fit != "axes",
            shift_small_maps=c.window_fit != "shorter_side",
            kernel_initializer=self.initializer(),
            dtype=self.dtype_policy,
            name=f"stage_{stage}_block_{block}",
        )

    def _merging(self, stage: int) -> PatchMerging:
        return PatchMerging(
            self.config.widths[stage],
            self.config.norm_position,
            EPSILON,
            kernel_initializer=self.initializer(),
            dtype=self.dtype_policy,
            name=f"merging_{stage}",
        )

    def norm(self, name: str, epsilon: float) -> keras.layers.LayerNormalization:
        """A layer norm."""
        return keras.layers.LayerNormalization(epsilon=epsilon, dtype=self.dtype_policy, name=name)

    def initializer(self):
        """A new initializer of kernels and tables."""
        return keras.initializers.TruncatedNormal(stddev=self.config.initializer_range)

    def linear(self, units: int, name: str) -> Linear:
        """A linear map from the last stage's width."""
        return Linear(units, kernel_initializer=self.initializer(), dtype=self.dtype_policy, name=name)

    def make_head(self) -> None:
        """Makes the head's layers."""

    def build(self, input_shape=None):
        c = self.config
        self.patch_embedding.build()
        if c.patch_norm:
            self.patch_norm.build((None, None, c.embed_dim))
        if c.absolute_positions:
            shape = (1, math.prod(c.grid), c.embed_dim)
            self.positions = self.add_weight(shape=shape, initializer=self.initializer(), name="positions")
        for layer in (*(block for stage in self.stages for block in stage), *self.mergings):
            layer.build()
        self.final_norm.build((None, None, None, c.widths[-1]))

    @classmethod
    def adapt(cls, path, values, before, after):
        if path == "positions":
            return resample_positions(values, 0, before.grid, after.grid)
        if path.endswith("position_bias/table"):
            stage = int(path.split("_")[1])
            return windows.resample_bias_table(values, before.windows()[stage][0], after.windows()[stage][0])
        return super().adapt(path, values, before, after)

    def layer_depth(self, path):
        stage = re.match(r"[^/]+/(stage|merging)_(\d+)(?:_block_(\d+))?/", path)
        if not stage:
            return super().layer_depth(path)
        kind, number, block = stage[1], int(stage[2]), int(stage[3] or 0)
        number += kind == "merging"  # what merges patches goes with the stage that it leads to
        return sum(self.config.depths[:number]) + block + 1

    def embed(self, images, masked=None, training=None):
        """The map of embedded patches, `(B, H / patch, W / patch, embed_dim)`.

        Args:
            images: `(B, H, W, channels)`.
            masked: `(B, N)`, 1 for each of N patches that the mask token stands for; needs a model that has one.
            training: whether dropout is active.
        """
        c = self.config
        images = windows.pad(images, pair(c.patch_size)) if c.pad_images else images
        size = grid(ops.shape(images)[1:3], c.patch_size)
        x = self.patch_embedding(images)
        x = self.patch_norm(x) if c.patch_norm else x
        x = x if masked is None else hide_patches(x, masked, self.mask_token)
        if c.absolute_positions:
            x = x + resample_positions(ops.cast(self.positions, x.dtype), 0, c.grid, size)
        return self.patch_drop(ops.reshape(x, (-1, *size, c.embed_dim)), training=training)

    def encode(self, images, masked=None, return_attention: bool = False, training=None) -> dict[str, tuple]:
        """Runs the stages, on what `embed` takes.

        Returns:
            A dict of tuples of maps `(B, H, W, C)`, or of the windows' attention: `"hidden_states"`, the embedded
            patches and each block's output; `"feature_maps"`, the last output of each stage; `"attentions"` of every
            block, if asked for.
        """
        x = self.embed(images, masked, training)
        states, maps, attentions = [x], list[Any](), list[Any]()
        for stage, blocks in enumerate(self.stages):
            x = self.mergings[stage - 1](x) if stage else x
            for block in blocks:
                result = block(x, return_attention=return_attention, training=training)
                x, *weights = result if return_attention else (result,)
                states.append(x)
                attentions.extend(weights)
            maps.append(x)
        return {"hidden_states": tuple(states), "feature_maps": tuple(maps), "attentions": tuple(attentions)}

    @staticmethod
    def asked(inside: dict[str, tuple], return_attention: bool, return_hidden_states: bool) -> dict[str, tuple]:
        """Those of `encode`'s outputs that a call asked for."""
        names = ["attentions"] * return_attention + ["hidden_states", "feature_maps"] * return_hidden_states
        return {name: inside[name] for name in names}


@register_model(TINY, TINY_V2, TINY_PADDED)
class SwinTransformer(SwinBackbone):
    """The Swin Transformer as a classifier, or without a head as an encoder of images.

    `model(images)` gives the logits, `(B, num_classes)`; with `num_classes=0`, the features: the mean of the normalized
    tokens of the last stage. It trains with `compile(loss=...)`.

    Images may be of any size that is a whole number of patches.

    Args:
        config: a `SwinConfig`; Swin-T unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    formats: ClassVar = {"huggingface": swin.CLASSIFIERS, "timm": swin_timm.FAMILIES}

    def make_head(self):
        self.head_drop = Dropout(self.config.head_dropout, dtype=self.dtype_policy, name="head_drop")
        if self.config.num_classes:
            self.head = self.linear(self.config.num_classes, "head")

    def build(self, input_shape=None):
        super().build(input_shape)
        if self.config.num_classes:
            self.head.build((None, self.config.widths[-1]))

    def call(
        self,
        images,
        return_features: bool = False,
        return_attention: bool = False,
        return_hidden_states: bool = False,
        training=None,
    ):
        """Classifies images.

        Args:
            images: `(B, H, W, C)`, floating point, or a dict with them as `"images"`.
            return_features: give the features in place of the logits.
            return_attention: also give every block's attention maps, `(B * windows, heads, queries, keys)`: an image's
                windows row by row, as they lie after the shift.
            return_hidden_states: also give the embedded patches and every block's output, and every stage's output as
                `"feature_maps"`: `(B, h, w, c)` each.
            training: whether dropout is active.

        Returns:
            The logits, `(B, num_classes)`, or the features, `(B, c)`; with maps or hidden states, a dict of `"logits"`
            or `"features"`, `"attentions"`, `"hidden_states"` and `"feature_maps"`.

        Raises:
            ValueError: for images of another rank, order of axes, number of channels or dtype, or that are no whole
                number of patches.
        """
        given = self.named_inputs(images)
        inside = self.encode(given["images"], return_attention=return_attention, training=training)
        features = self.pool(inside["feature_maps"][-1])
        answer = features if return_features else self.classify(features, training)
        if not (return_attention or return_hidden_states):
            return answer
        asked = self.asked(inside, return_attention, return_hidden_states)
        return {"features" if return_features else "logits": answer, **asked}

    def classify(self, features, training=None):
        """The logits of the features, `(B, num_classes)`; the features themselves without a head."""
        features = self.head_drop(features, training=training)
        return self.head(features) if self.config.num_classes else features

    def pool(self, x):
        """The mean of the normalized tokens: `(B, h, w, C)` to `(B, C)`."""
        return ops.mean(self.final_norm(x), axis=(1, 2))


# === Variants ===


@register_variant
def swin_tiny_patch4_window7_224(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """Swin-T: 28.3 million parameters."""
    return SwinTransformer(VARIANTS["swin_tiny_patch4_window7_224"], num_classes=num_classes, **overrides)


@register_variant
def swin_small_patch4_window7_224(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """Swin-S: 49.6 million parameters."""
    return SwinTransformer(VARIANTS["swin_small_patch4_window7_224"], num_classes=num_classes, **overrides)


@register_variant
def swin_base_patch4_window7_224(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """Swin-B: 87.8 million parameters."""
    return SwinTransformer(VARIANTS["swin_base_patch4_window7_224"], num_classes=num_classes, **overrides)


@register_variant
def swin_large_patch4_window7_224(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """Swin-L: 196.5 million parameters."""
    return SwinTransformer(VARIANTS["swin_large_patch4_window7_224"], num_classes=num_classes, **overrides)


@register_variant
def swin_base_patch4_window12_384(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """Swin-B at 384 pixels: 87.9 million parameters."""
    return SwinTransformer(VARIANTS["swin_base_patch4_window12_384"], num_classes=num_classes, **overrides)


@register_variant
def swin_large_patch4_window12_384(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """Swin-L at 384 pixels: 196.7 million parameters."""
    return SwinTransformer(VARIANTS["swin_large_patch4_window12_384"], num_classes=num_classes, **overrides)


@register_variant
def swinv2_tiny_patch4_window8_256(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """SwinV2-T: 28.3 million parameters."""
    return SwinTransformer(VARIANTS["swinv2_tiny_patch4_window8_256"], num_classes=num_classes, **overrides)


@register_variant
def swinv2_small_patch4_window8_256(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """SwinV2-S: 49.7 million parameters."""
    return SwinTransformer(VARIANTS["swinv2_small_patch4_window8_256"], num_classes=num_classes, **overrides)


@register_variant
def swinv2_base_patch4_window8_256(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """SwinV2-B: 87.9 million parameters."""
    return SwinTransformer(VARIANTS["swinv2_base_patch4_window8_256"], num_classes=num_classes, **overrides)


@register_variant
def swinv2_tiny_patch4_window16_256(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """SwinV2-T with windows of 16: 28.3 million parameters."""
    return SwinTransformer(VARIANTS["swinv2_tiny_patch4_window16_256"], num_classes=num_classes, **overrides)


@register_variant
def swinv2_small_patch4_window16_256(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """SwinV2-S with windows of 16: 49.7 million parameters."""
    return SwinTransformer(VARIANTS["swinv2_small_patch4_window16_256"], num_classes=num_classes, **overrides)


@register_variant
def swinv2_base_patch4_window16_256(num_classes: int = 1000, **overrides: Any) -> SwinTransformer:
    """SwinV2-B with windows of 16: 87.9 million parameters."""
    return SwinTransformer(VARIANTS["swinv2_base_patch4_window16_256"], num_classes=num_classes, **overrides)
