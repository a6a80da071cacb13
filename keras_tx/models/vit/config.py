"""The Vision Transformers' config, and the papers' table."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from keras_tx.layers import AttentionConfig
from keras_tx.layers.attention.variants import Pattern
from keras_tx.layers.image.resnet_stem import resnet_stride
from keras_tx.models.core.images import ImageConfig, require_a_patch
from keras_tx.ops.checks import require_divides, require_positive, require_rate
from keras_tx.ops.image.patches import Size, pair
from keras_tx.ops.image.pooling import REDUCTIONS

_Pooling = Literal["token", "mean", "max", "mean_max", "attention"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViTConfig(ImageConfig):
    """An encoder of an image's patches; the defaults are ViT-B/16."""

    head_fields = ImageConfig.head_fields | {
        "pooling",
        "pool_prefix",
        "fc_norm",
        "representation_size",
        "distillation_head",
        "head_dropout",
    }

    patch_size: Size = 16
    """Height and width of the patches, or one number for both; with a stem, of those of its map."""
    stem: tuple[int, ...] | None = None
    """Bottleneck blocks in each stage of a ResNet before the patches (R+ViT hybrids): `(3, 4, 9)` is the paper's R50,
    `()` its first convolution and pooling alone; None for no ResNet."""
    num_layers: int = 12
    num_heads: int = 12
    attention: Pattern = None
    """Another self-attention, as `AttentionConfig.of` takes it, or several for the layers in turn; None for multi-head
    attention."""
    d_model: int = 768
    d_ff: int = 3072
    """Width inside the feed-forward network."""
    activation: str = "gelu"
    gated: bool = False
    """Whether the activation, of a linear map of its own, multiplies what is inside the feed-forward network (Shazeer
    2020)."""
    norm_epsilon: float = 1e-6
    qkv_bias: bool = True
    """Whether the maps to queries, keys and values have biases."""
    qk_norm: bool = False
    """Whether each head's queries and keys are normalized (Dehghani et al. 2023)."""
    layer_scale: float | None = None
    """The factor of each residual branch's channels at the start; None for no LayerScale."""
    class_token: bool = True
    distillation_token: bool = False
    """A second token, which learns from a teacher (DeiT, Touvron et al. 2021)."""
    distillation_head: bool = False
    """Whether the distillation token has a classifier of its own, whose logits are averaged with the class token's."""
    register_tokens: int = 0
    """Tokens that no one reads (Darcet et al. 2023)."""
    no_embed_class: bool = False
    """Whether the position table has rows for the patches alone, none for the tokens before them."""
    pre_norm: bool = False
    """Whether the embeddings are normalized, and patches are embedded without bias (CLIP, Radford et al. 2021)."""
    pooling: _Pooling = "token"
    """How features are pooled: the class token's; the patches' mean, maximum, or the mean of both; or what a learned
    query sees of them (`layers.AttentionPooling`)."""
    pool_prefix: bool = False
    """Whether the tokens before the patches are pooled too, where `pooling` is not "token"."""
    fc_norm: bool | None = None
    """Whether the final norm is of the pooled features, not of all tokens; None to do so with means and maxima."""
    representation_size: int | None = None
    """Width of a linear map and tanh before the head, as in the paper's pre-training; None for none."""
    pad_images: bool = False
    """Whether images that aren't a whole number of patches are padded with zeros at the bottom and the right."""
    dropout: float = 0.0
    """The dropout rate on each residual branch."""
    position_dropout: float = 0.0
    """The dropout rate on the embeddings."""
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    """Inside the feed-forward network."""
    head_dropout: float = 0.0
    """The dropout rate before the head."""
    patch_dropout: float = 0.0
    """Part of each image's patches that are left out in training."""
    drop_path: float = 0.0
    """Rate at which the last block's branches are dropped for a whole image; it grows from 0 at the first block."""
    initializer_range: float = 0.02
    """Standard deviation of every kernel, token and table at the start."""

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "attention", AttentionConfig.of(self.attention, self.num_layers))
        for part in pair(self.patch_size):
            require_positive(patch_size=part)
        for count in self.stem or ():
            require_positive(stem=count)
        if self.stem is not None or self.pad_images:
            for length, part in zip(pair(self.image_size), self.stride, strict=True):
                require_divides(length, part, "image_size", "patch_size" if self.stem is None else "patch_size * stem")
        require_a_patch(self)
        require_positive(
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            d_model=self.d_model,
            d_ff=self.d_ff,
            representation_size=self.representation_size,
        )
        require_divides(self.d_model, self.num_heads, "d_model", "num_heads")
        require_rate(
            dropout=self.dropout,
            position_dropout=self.position_dropout,
            attention_dropout=self.attention_dropout,
            activation_dropout=self.activation_dropout,
            head_dropout=self.head_dropout,
            patch_dropout=self.patch_dropout,
            drop_path=self.drop_path,
        )
        self._check_tokens()

    def _check_tokens(self) -> None:
        if self.register_tokens < 0:
            raise ValueError(f"`register_tokens` must be at least 0; got {self.register_tokens}.")
        known = get_args(_Pooling)
        if self.pooling not in known:
            raise ValueError(f"`pooling` must be one of {', '.join(map(repr, known))}; got {self.pooling!r}.")
        if self.pooling == "token" and not self.class_token:
            raise ValueError('`pooling="token"` needs the class token: take `pooling="mean"` without it.')
        if self.distillation_token and not self.class_token:
            raise ValueError("`distillation_token` needs `class_token`, which it stands beside.")
        if self.distillation_head and not (self.distillation_token and self.pooling == "token"):
            raise ValueError('`distillation_head` needs `distillation_token` and `pooling="token"`.')
        if self.stem is not None and self.pad_images:
            raise ValueError("`pad_images` does not go with `stem`: resize or crop the images.")
        if self.distillation_head and self.representation_size:
            raise ValueError("`distillation_head` and `representation_size` do not go together: give one of them.")

    @property
    def stride(self):
        height, width = pair(self.patch_size)
        scale = 1 if self.stem is None else resnet_stride(self.stem)
        return height * scale, width * scale

    @property
    def prefix_tokens(self) -> int:
        """Tokens before the patches."""
        return self.class_token + self.distillation_token + self.register_tokens

    @property
    def position_rows(self) -> int:
        """Rows of the position table that are not patches'."""
        return 0 if self.no_embed_class else self.prefix_tokens

    @property
    def norm_after_pooling(self) -> bool:
        """`fc_norm`, decided."""
        return self.pooling in REDUCTIONS if self.fc_norm is None else self.fc_norm


def _variant(num_layers: int, num_heads: int, d_model: int, patch_size: int) -> ViTConfig:
    return ViTConfig(
        num_layers=num_layers, num_heads=num_heads, d_model=d_model, d_ff=4 * d_model, patch_size=patch_size
    )


VARIANTS = {
    "vit_tiny_patch16_224": _variant(12, 3, 192, 16),
    "vit_small_patch16_224": _variant(12, 6, 384, 16),
    "vit_base_patch16_224": _variant(12, 12, 768, 16),
    "vit_base_patch32_224": _variant(12, 12, 768, 32),
    "vit_large_patch16_224": _variant(24, 16, 1024, 16),
    "vit_huge_patch14_224": _variant(32, 16, 1280, 14),
}
"""Dosovitskiy et al. 2020, table 1; the two smallest are Touvron et al. 2021, table 1."""

TINY = ViTConfig(
    image_size=(9, 14),
    patch_size=(3, 2),
    channels=2,
    num_classes=5,
    num_layers=2,
    num_heads=3,
    d_model=15,
    d_ff=29,
)
TINY_MEAN = TINY.replace(
    pooling="mean",
    register_tokens=2,
    no_embed_class=True,
    qkv_bias=False,
    qk_norm=True,
    layer_scale=0.7,
    gated=True,
    activation="silu",
    pre_norm=True,
    patch_dropout=0.1,
    drop_path=0.1,
)
TINY_DISTILLED = TINY.replace(distillation_token=True, distillation_head=True, pad_images=True)
TINY_HYBRID = TINY.replace(stem=(), image_size=(12, 16), patch_size=(3, 2), pooling="attention")
TINY_HEADLESS = TINY.replace(num_classes=0, representation_size=7, class_token=True)
