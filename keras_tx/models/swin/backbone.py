"""Swin's backbone (Liu et al. 2021, 2022): images in stages of shrinking maps, with attention in shifted windows."""

from __future__ import annotations

import math
import re
from typing import Any, ClassVar

import keras
from keras import ops

from keras_tx.layers.core.dropout import Dropout
from keras_tx.layers.image.patch_merging import PatchMerging
from keras_tx.layers.image.patches import PatchEmbedding, require_whole_patches
from keras_tx.layers.image.swin_block import SwinBlock
from keras_tx.models.core.backbone import run_blocks
from keras_tx.models.core.images import ImageBackbone
from keras_tx.models.core.masked_images import hide_patches, require_masks
from keras_tx.models.core.registry import register_model
from keras_tx.models.swin import huggingface, keras_hub, timm
from keras_tx.models.swin.config import SwinConfig
from keras_tx.ops.image import windows
from keras_tx.ops.image.patches import grid
from keras_tx.ops.image.resample import resample_positions

EPSILON = 1e-5
"""The epsilon of the norms of the patches and between stages, which no config changes."""

_EMBEDDINGS = re.compile(r"backbone/(patch_embedding|patch_norm|positions|mask_token)(/|$)")
"""The weights below the blocks."""


@register_model()
class SwinBackbone(ImageBackbone):
    """Swin's encoder: `backbone(images)` gives `{"last_hidden_state": (B, h, w, width)}`, the last stage's map.

    Images may be of any size that is a whole number of patches.

    Args:
        config: a `SwinConfig`; Swin-T unless given.
        mask_token: whether there is one, for patches that `bool_masked_pos` hides.
        name, dtype, overrides: as `Model` takes them.
    """

    config_class = SwinConfig
    config: SwinConfig
    formats: ClassVar = {
        "huggingface": huggingface.CLASSIFIERS,
        "timm": timm.FAMILIES,
        "keras_hub": keras_hub.FAMILIES,
    }
    adaptable: ClassVar[tuple[str, ...]] = ("image_size", "patch_size", "channels", "window_size")

    def __init__(
        self,
        config: SwinConfig | None = None,
        *,
        mask_token: bool = False,
        name: str | None = None,
        dtype=None,
        **overrides: Any,
    ):
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
            self.patch_norm = self._norm("patch_norm", EPSILON)
        self.patch_drop = Dropout(c.dropout, dtype=self.dtype_policy, name="patch_drop")
        self.stages = [[self._block(stage, block) for block in range(depth)] for stage, depth in enumerate(c.depths)]
        self.mergings = [self._merging(stage) for stage in range(len(c.depths) - 1)]
        self.final_norm = self._norm("final_norm", c.norm_epsilon)
        self.hides_patches = mask_token
        self.build()

    @property
    def options(self):
        return {"mask_token": self.hides_patches}

    @property
    def width(self):
        return self.config.widths[-1]

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

    def _norm(self, name: str, epsilon: float) -> keras.layers.LayerNormalization:
        return keras.layers.LayerNormalization(epsilon=epsilon, dtype=self.dtype_policy, name=name)

    def initializer(self):
        return keras.initializers.TruncatedNormal(stddev=self.config.initializer_range)

    def build(self, input_shape=None):
        c = self.config
        self.patch_embedding.build()
        if c.patch_norm:
            self.patch_norm.build((None, None, c.embed_dim))
        if c.absolute_positions:
            self.positions = self._table("positions", math.prod(c.grid))
        if self.hides_patches:
            self.mask_token = self._table("mask_token", 1)
        for layer in (*(block for stage in self.stages for block in stage), *self.mergings):
            layer.build()
        self.final_norm.build((None, None, None, self.width))

    def _table(self, name: str, rows: int):
        """A weight `(1, rows, embed_dim)`."""
        return self.add_weight(shape=(1, rows, self.config.embed_dim), initializer=self.initializer(), name=name)

    # === From images to hidden states ===

    def hidden(self, images, bool_masked_pos=None, *, return_attention=False, training=None):
        require_masks(bool_masked_pos, images, self.config.stride)
        x = self.embed(images, bool_masked_pos, training)
        states, maps, attentions = [x], list[Any](), list[Any]()
        for stage, blocks in enumerate(self.stages):
            x = self.mergings[stage - 1](x) if stage else x
            outputs = run_blocks(blocks, x, return_attention=return_attention, training=training)
            x = outputs.hidden_states[-1]
            states.extend(outputs.hidden_states[1:])
            attentions.extend(outputs.attentions)
            maps.append(x)
        inner = {"hidden_states": tuple(states), "feature_maps": tuple(maps)}
        asked = {"attentions": tuple(attentions)} if return_attention else {}
        return {"last_hidden_state": self.final_norm(x), **inner, **asked}

    def embed(self, images, masked=None, training=None):
        """The map of embedded patches, `(B, H / patch, W / patch, embed_dim)`.

        Args:
            images: `(B, H, W, channels)`.
            masked: `(B, N)`, True or not 0 for each of N patches that the mask token stands for.
            training: whether dropout is active.
        """
        c = self.config
        images = windows.pad(images, c.stride) if c.pad_images else images
        if masked is not None:  # pixels that are left out could not be painted
            require_whole_patches(images, c.stride)
        size = grid(ops.shape(images)[1:3], c.stride)
        x = self.patch_embedding(images)
        x = self.patch_norm(x) if c.patch_norm else x
        x = x if masked is None else hide_patches(x, masked, self.mask_token)
        if c.absolute_positions:
            x = x + resample_positions(ops.cast(self.positions, x.dtype), 0, c.grid, size)
        return self.patch_drop(ops.reshape(x, (-1, *size, c.embed_dim)), training=training)

    # === Maps ===

    @property
    def num_levels(self):
        return len(self.config.depths)

    @property
    def widths(self):
        return self.config.widths

    def feature_maps(self, outputs, images, levels):
        """The outputs of some stages, the last one's after the final norm."""
        maps = (*outputs["feature_maps"][:-1], outputs["last_hidden_state"])
        return tuple(maps[level - 1] for level in levels)

    # === Checkpoints ===

    @classmethod
    def adapt(cls, path, values, before, after):
        if path == "backbone/positions":
            return resample_positions(values, 0, before.grid, after.grid)
        if path.endswith("position_bias/table"):
            stage = int(path.split("_")[1])
            return windows.resample_bias_table(values, before.windows()[stage][0], after.windows()[stage][0])
        return super().adapt(path, values, before, after)

    def layer_depth(self, path):
        if _EMBEDDINGS.match(path):
            return 0
        stage = re.match(r"backbone/(stage|merging)_(\d+)(?:_block_(\d+))?/", path)
        if not stage:
            return None
        kind, number, block = stage[1], int(stage[2]), int(stage[3] or 0)
        number += kind == "merging"  # what merges patches goes with the stage that it leads to
        return sum(self.config.depths[:number]) + block + 1
