"""Vision Transformers as timm keeps them: ViT, DeiT, DeiT-III, DINOv2, CLIP's encoders."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

from keras_tx.convert import resnet_stem
from keras_tx.convert.family import Head, Setting
from keras_tx.convert.table import Rule, below, convolution, linear, norm, same, transposed
from keras_tx.convert.timm import TimmFamily
from keras_tx.convert.vit import dims, plain
from keras_tx.layers.resnet_stem import resnet_width

Fields = Mapping[str, Any]

# === Tensors ===

_QKV = ("attention/query", "attention/key", "attention/value")


def _block(fields: Fields) -> list[Rule]:
    """The rules of a block, below it."""
    rules = [
        *norm("norm1", "D", "attention_norm"),
        transposed("attn.qkv.weight", "3D D", *(f"{path}/kernel" for path in _QKV)),
        *linear("attn.proj", "D D", "attention/output"),
        *norm("norm2", "D", "feed_forward_norm"),
        *linear("mlp.fc1", "F D", "feed_forward/up"),
        *linear("mlp.fc2", "D F", "feed_forward/down"),
    ]
    if fields["qkv_bias"]:
        rules.append(same("attn.qkv.bias", "3D", *(f"{path}/bias" for path in _QKV)))
    if fields["qk_norm"]:
        rules += [*norm("attn.q_norm", "K", "attention/query_norm"), *norm("attn.k_norm", "K", "attention/key_norm")]
    if fields["layer_scale"] is not None:
        rules += [
            same("ls1.gamma", "D", "attention_scale/gamma", copies=("gamma_1",)),
            same("ls2.gamma", "D", "feed_forward_scale/gamma", copies=("gamma_2",)),
        ]
    return rules


def _backbone(fields: Fields) -> list[Rule]:
    mean = fields["pooling"] == "mean"
    after_pooling = mean if fields["fc_norm"] is None else fields["fc_norm"]
    stem = fields["stem"]
    hybrid = stem is not None
    rules = [
        same("pos_embed", "1 P D", "position_embedding"),
        *(below("patch_embed.backbone.", "stem/", resnet_stem.timm(stem)) if hybrid else []),
        *convolution(
            "patch_embed.proj", "D S H W" if hybrid else "D C H W", "patch_embedding", use_bias=not fields["pre_norm"]
        ),
        *norm("fc_norm" if after_pooling else "norm", "D", "norm"),
        *(rule for i in range(fields["num_layers"]) for rule in below(f"blocks.{i}.", f"block_{i}/", _block(fields))),
    ]
    if fields["class_token"]:
        rules.append(same("cls_token", "1 1 D", "class_token"))
    if fields["distillation_token"]:
        rules.append(same("dist_token", "1 1 D", "distillation_token"))
    if fields["register_tokens"]:
        rules.append(same("reg_token", "1 R D", "register_tokens"))
    if fields["pre_norm"]:
        rules += norm("norm_pre", "D", "embedding_norm")
    return rules


def _head(fields: Fields) -> list[Rule]:
    return linear("head", "N D", "head") if fields["num_classes"] else []


def _two_heads(fields: Fields) -> list[Rule]:
    return [*_head(fields), *linear("head_dist", "N D", "distillation_head")] if fields["num_classes"] else []


def _dims(fields: Fields) -> dict[str, int]:
    return {
        **dims(fields),
        "K": fields["d_model"] // fields["num_heads"],
        "R": fields["register_tokens"],
        "S": resnet_width(fields["stem"] or ()),
    }


# === Architectures ===

_SIZES: dict[str, dict[str, Any]] = {
    name: {"embed_dim": width, "depth": depth, "num_heads": heads, "mlp_ratio": ratio}
    for name, width, depth, heads, ratio in (
        ("tiny", 192, 12, 3, 4.0),
        ("small", 384, 12, 6, 4.0),
        ("medium", 512, 12, 8, 4.0),
        ("betwixt", 640, 12, 10, 4.0),
        ("base", 768, 12, 12, 4.0),
        ("large", 1024, 24, 16, 4.0),
        ("huge", 1280, 32, 16, 4.0),
        ("giant", 1408, 40, 16, 48 / 11),
        ("gigantic", 1664, 48, 16, 64 / 13),
    )
}
_CLIP = {"pre_norm": True, "norm_eps": 1e-5}
_QUICK = {**_CLIP, "act_layer": "quick_gelu"}
_REGISTERS = {"init_values": 1e-5, "class_token": False, "no_embed_class": True, "global_pool": "avg"}


def _named(template: str, sizes: str, patch_size: int, **arguments: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Architectures of several sizes, by name; templates are separated by spaces."""
    for size in sizes.split():
        for name in template.split():
            yield name.format(size), {**_SIZES[size], "patch_size": patch_size, **arguments}


ARCHITECTURES = dict(
    [
        *_named("vit_{}_patch16_224 vit_{}_patch16_384", "tiny small base large", 16),
        *_named("vit_{}_patch32_224 vit_{}_patch32_384", "small base large", 32),
        *_named("vit_{}_patch14_224", "large huge giant gigantic", 14),
        *_named("vit_{}_patch8_224", "small base", 8),
        *_named("vit_{}_patch16_224_miil", "base", 16, qkv_bias=False),
        *_named("vit_{}_patch14_dinov2", "small base large", 14, init_values=1e-5),
        *_named(
            "vit_{}_patch14_reg4_dinov2", "small base large", 14, init_values=1e-5, reg_tokens=4, no_embed_class=True
        ),
        *_named("vit_{}_patch16_clip_224 vit_{}_patch16_clip_384", "base", 16, **_CLIP),
        *_named("vit_{}_patch32_clip_224", "medium betwixt", 32, **_CLIP),
        *_named(
            "vit_{}_patch32_clip_224 vit_{}_patch32_clip_256 vit_{}_patch32_clip_384 vit_{}_patch32_clip_448",
            "base",
            32,
            **_CLIP,
        ),
        *_named("vit_{}_patch14_clip_224", "large huge giant gigantic", 14, **_CLIP),
        *_named("vit_{}_patch14_clip_336", "large huge", 14, **_CLIP),
        *_named("vit_{}_patch16_clip_quickgelu_224", "base", 16, **_QUICK),
        *_named("vit_{}_patch32_clip_quickgelu_224", "base", 32, **_QUICK),
        *_named("vit_{}_patch14_clip_quickgelu_224", "large huge gigantic", 14, **_QUICK),
        *_named("vit_{}_patch14_clip_quickgelu_336", "large", 14, **_QUICK),
        *_named("vit_{}_patch16_reg1_gap_256", "medium betwixt", 16, reg_tokens=1, **_REGISTERS),
        *_named("vit_{}_patch16_reg4_gap_256", "medium betwixt", 16, reg_tokens=4, **_REGISTERS),
        *_named("flexivit_{}", "small base large", 16, no_embed_class=True),
        *_named("deit_{}_patch16_224", "tiny small base", 16),
        *_named("deit_{}_patch16_384", "base", 16),
        *_named("deit3_{}_patch16_224", "small medium base large", 16, no_embed_class=True, init_values=1e-6),
        *_named("deit3_{}_patch16_384", "small base large", 16, no_embed_class=True, init_values=1e-6),
        *_named("deit3_{}_patch14_224", "huge", 14, no_embed_class=True, init_values=1e-6),
    ]
)
DISTILLED = dict(
    [
        *_named("deit_{}_distilled_patch16_224", "tiny small base", 16),
        *_named("deit_{}_distilled_patch16_384", "base", 16),
    ]
)
HYBRID = dict(
    [
        *_named("vit_{}_r_s16_p8_224 vit_{}_r_s16_p8_384", "tiny", 8, stem=()),
        *_named("vit_{}_r26_s32_224 vit_{}_r26_s32_384", "small", 1, stem=(2, 2, 2, 2)),
        *_named("vit_{}_r26_s32_224", "base", 1, stem=(2, 2, 2, 2)),
        *_named("vit_{}_r50_s16_224 vit_{}_r50_s16_384", "base", 1, stem=(3, 4, 9)),
        *_named("vit_{}_r50_s32_224 vit_{}_r50_s32_384", "large", 1, stem=(3, 4, 6, 3)),
    ]
)
"""Those with a ResNet before the patches."""

# === Configs ===

_SETTINGS = (
    Setting("img_size", "image_size", 224),
    Setting("patch_size", "patch_size", 16),
    Setting("stem", "stem", None),
    Setting("in_chans", "channels", 3),
    Setting("depth", "num_layers", 12),
    Setting("num_heads", "num_heads", 12),
    Setting("embed_dim", "d_model", 768),
    Setting("qkv_bias", "qkv_bias", True),
    Setting("qk_norm", "qk_norm", False),
    Setting("init_values", "layer_scale", None),
    Setting("class_token", "class_token", True),
    Setting("reg_tokens", "register_tokens", 0),
    Setting("no_embed_class", "no_embed_class", False),
    Setting("pre_norm", "pre_norm", False),
    Setting("global_pool", "pooling", "token", names={"token": "token", "avg": "mean"}, closed=True),
    Setting("fc_norm", "fc_norm", None),
    Setting("dynamic_img_pad", "pad_images", False),
    Setting("norm_eps", "norm_epsilon", 1e-6),
    Setting(
        "act_layer",
        "activation",
        "gelu",
        names={name: name for name in ("gelu", "gelu_tanh", "quick_gelu", "relu", "relu6", "silu", "mish", "tanh")},
        closed=True,
    ),
    Setting("drop_rate", "head_dropout", 0.0),
    Setting("pos_drop_rate", "position_dropout", 0.0),
    Setting("proj_drop_rate", "dropout", 0.0),
    Setting("attn_drop_rate", "attention_dropout", 0.0),
    Setting("patch_drop_rate", "patch_dropout", 0.0),
    Setting("drop_path_rate", "drop_path", 0.0),
)


def _mlp_ratio(fields: Fields) -> dict[str, float]:
    """The number that times the width, rounded down, is the width inside."""
    ratio = fields["d_ff"] / fields["d_model"]
    exact = int(fields["d_model"] * ratio) == fields["d_ff"]
    return {"mlp_ratio": ratio if exact else math.nextafter(ratio, math.inf)}


VIT = TimmFamily(
    model_type="timm/vit",
    prefix="",
    settings=_SETTINGS,
    fixed={"distillation_token": False, "distillation_head": False, "representation_size": None, "stem": None},
    demanded={"pos_embed": "learn", "final_norm": True, "pool_include_prefix": False, "proj_bias": True},
    dims=_dims,
    backbone=_backbone,
    heads={"VisionTransformer": Head("VisionTransformer", _head)},
    plain=plain,
    left_out=(r"head(_dist)?\.\w+",),
    classes="num_classes",
    inferred=lambda config: {"d_ff": int(config["embed_dim"] * config.get("mlp_ratio", 4.0))},
    derived=_mlp_ratio,
    architectures=ARCHITECTURES,
    implied=("norm_eps", "stem"),
    pretrained_cfg={"first_conv": "patch_embed.proj", "classifier": "head"},
)

DISTILLED_VIT = dataclasses.replace(
    VIT,
    model_type="timm/deit_distilled",
    fixed={**VIT.fixed, "distillation_token": True, "distillation_head": True},
    heads={"VisionTransformer": Head("VisionTransformerDistilled", _two_heads)},
    architectures=DISTILLED,
    pretrained_cfg={"first_conv": "patch_embed.proj", "classifier": ["head", "head_dist"]},
)

HYBRID_VIT = dataclasses.replace(
    VIT,
    model_type="timm/vit_hybrid",
    fixed={name: value for name, value in VIT.fixed.items() if name != "stem"},
    architectures=HYBRID,
    pretrained_cfg={"first_conv": "patch_embed.backbone.stem.conv", "classifier": "head"},
)

FAMILIES = (VIT, HYBRID_VIT, DISTILLED_VIT)
