"""Vision Transformers as timm keeps them: ViT, DeiT, DeiT-III, DINOv2, CLIP's encoders."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from keras_tx.convert.family import Head, Setting
from keras_tx.convert.table import Rule, convolution, linear, norm, prefixed, same, transposed
from keras_tx.convert.timm import TimmFamily
from keras_tx.layers.image.resnet_stem import resnet_width
from keras_tx.models.vit import timm_stem as resnet_stem
from keras_tx.models.vit.huggingface import dims, normalized
from keras_tx.models.vit.timm_architectures import ARCHITECTURES, DISTILLED, HYBRID
from keras_tx.ops.image.pooling import REDUCTIONS

Fields = Mapping[str, Any]

# === Tensors ===

_QKV = ("attention/query", "attention/key", "attention/value")
_GATED = ("feed_forward/gate", "feed_forward/up")


def _packed(peer: str, width: str, own: Sequence[str], use_bias: bool = True) -> list[Rule]:
    """A linear map of which we have several, side by side."""
    kernels = transposed(f"{peer}.weight", f"{width} D", *(f"{path}/kernel" for path in own))
    return [kernels, *([same(f"{peer}.bias", width, *(f"{path}/bias" for path in own))] if use_bias else [])]


def _block(fields: Fields) -> list[Rule]:
    """The rules of a block, below it."""
    rules = [
        *norm("norm1", "D", "attention_norm"),
        *_packed("attn.qkv", "3D", _QKV, use_bias=fields["qkv_bias"]),
        *linear("attn.proj", "D D", "attention/output"),
        *norm("norm2", "D", "feed_forward_norm"),
        *(_packed("mlp.fc1", "2F", _GATED) if fields["gated"] else linear("mlp.fc1", "F D", "feed_forward/up")),
        *linear("mlp.fc2", "D F", "feed_forward/down"),
    ]
    if fields["qk_norm"]:
        rules += [*norm("attn.q_norm", "K", "attention/query_norm"), *norm("attn.k_norm", "K", "attention/key_norm")]
    if fields["layer_scale"] is not None:
        rules += [
            same("ls1.gamma", "D", "attention_scale/gamma", copies=("gamma_1",)),
            same("ls2.gamma", "D", "feed_forward_scale/gamma", copies=("gamma_2",)),
        ]
    return rules


def _backbone(fields: Fields) -> list[Rule]:
    after_pooling = fields["pooling"] in REDUCTIONS if fields["fc_norm"] is None else fields["fc_norm"]
    stem = fields["stem"]
    hybrid = stem is not None
    rules = [
        same("pos_embed", "1 P D", "position_embedding"),
        *(prefixed("patch_embed.backbone.", "stem/", resnet_stem.timm(stem)) if hybrid else []),
        *convolution(
            "patch_embed.proj", "D S H W" if hybrid else "D C H W", "patch_embedding", use_bias=not fields["pre_norm"]
        ),
        *norm("fc_norm" if after_pooling else "norm", "D", "norm"),
        *(
            rule
            for i in range(fields["num_layers"])
            for rule in prefixed(f"blocks.{i}.", f"block_{i}/", _block(fields))
        ),
    ]
    if fields["class_token"]:
        rules.append(same("cls_token", "1 1 D", "class_token"))
    if fields["distillation_token"]:
        rules.append(same("dist_token", "1 1 D", "distillation_token"))
    if fields["register_tokens"]:
        rules.append(same("reg_token", "1 R D", "register_tokens"))
    if fields["pre_norm"]:
        rules += norm("norm_pre", "D", "embedding_norm")
    return prefixed("", "backbone/", rules)


_ATTENTION_POOLING = prefixed(
    "attn_pool.",
    "head/attention_pooling/",
    [
        same("latent", "1 1 D", "query"),
        *linear("q", "D D", "attention/query"),
        *_packed("kv", "2D", ("attention/key", "attention/value")),
        *linear("proj", "D D", "attention/output"),
        *norm("norm", "D", "norm"),
        *linear("mlp.fc1", "F D", "feed_forward/up"),
        *linear("mlp.fc2", "D F", "feed_forward/down"),
    ],
)


def _head(fields: Fields) -> list[Rule]:
    pooling = _ATTENTION_POOLING if fields["pooling"] == "attention" else []
    return [*pooling, *(linear("head", "N D", "head/classifier") if fields["num_classes"] else [])]


def _two_heads(fields: Fields) -> list[Rule]:
    return (
        [*_head(fields), *linear("head_dist", "N D", "head/distillation_classifier")] if fields["num_classes"] else []
    )


def _dims(fields: Fields) -> dict[str, int]:
    return {
        **dims(fields),
        "K": fields["d_model"] // fields["num_heads"],
        "R": fields["register_tokens"],
        "S": resnet_width(fields["stem"] or ()),
    }


# === Configs ===

_POOLINGS = {"token": "token", "avg": "mean", "max": "max", "avgmax": "mean_max", "map": "attention"}

_SETTINGS = (
    Setting("img_size", "image_size", 224),
    Setting("patch_size", "patch_size", 16),
    Setting("stem", "stem", None),
    Setting("in_chans", "channels", 3),
    Setting("depth", "num_layers", 12),
    Setting("num_heads", "num_heads", 12),
    Setting("embed_dim", "d_model", 768),
    Setting("qkv_bias", "qkv_bias", True),
    Setting("gated", "gated", False),
    Setting("qk_norm", "qk_norm", False),
    Setting("init_values", "layer_scale", None),
    Setting("class_token", "class_token", True),
    Setting("reg_tokens", "register_tokens", 0),
    Setting("no_embed_class", "no_embed_class", False),
    Setting("pre_norm", "pre_norm", False),
    Setting("global_pool", "pooling", "token", names=_POOLINGS, closed=True),
    Setting("pool_include_prefix", "pool_prefix", False),
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


def _d_ff(config: Mapping[str, Any]) -> dict[str, int]:
    """The width inside, of which a gated network's first map has two."""
    width = int(config["embed_dim"] * config.get("mlp_ratio", 4.0))
    return {"d_ff": width // 2 if config.get("gated") else width}


def _mlp_ratio(fields: Fields) -> dict[str, float]:
    """The number that times the width, rounded down, is the width inside."""
    inside = fields["d_ff"] * (2 if fields["gated"] else 1)
    ratio = inside / fields["d_model"]
    exact = int(fields["d_model"] * ratio) == inside
    return {"mlp_ratio": ratio if exact else math.nextafter(ratio, math.inf)}


_ALONE = {"ViTBackbone": Head("VisionTransformer", alone=True)}

VIT = TimmFamily(
    model_type="timm/vit",
    prefix="",
    settings=_SETTINGS,
    fixed={
        "distillation_token": False,
        "distillation_head": False,
        "representation_size": None,
        "stem": None,
        "activation_dropout": 0.0,
    },
    required={"pos_embed": "learn", "final_norm": True, "proj_bias": True},
    dims=_dims,
    backbone=_backbone,
    heads={"VisionTransformer": Head("VisionTransformer", _head), **_ALONE},
    normalized=normalized,
    left_out=(r"head(_dist)?\.\w+",),
    classes="num_classes",
    inferred=_d_ff,
    derived=_mlp_ratio,
    architectures=ARCHITECTURES,
    implied=("norm_eps", "stem", "gated"),
    least={"norm_epsilon": 1e-6},
    pretrained_cfg={"first_conv": "patch_embed.proj", "classifier": "head"},
)

DISTILLED_VIT = dataclasses.replace(
    VIT,
    model_type="timm/deit_distilled",
    fixed={**VIT.fixed, "distillation_token": True, "distillation_head": True},
    heads={"VisionTransformer": Head("VisionTransformerDistilled", _two_heads), **_ALONE},
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
