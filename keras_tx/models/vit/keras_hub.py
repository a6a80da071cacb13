"""The Vision Transformer as KerasHub keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_tx.convert.family import Head, Setting
from keras_tx.convert.keras_hub import KerasHubFamily, attention, blocks, dense, norm, row
from keras_tx.convert.table import Rule, prefixed
from keras_tx.models.vit import huggingface
from keras_tx.ops.image.patches import pair

Fields = Mapping[str, Any]

_BLOCK = [
    *norm("layer_norm_1", "attention_norm"),
    *attention("mha", "attention"),
    *norm("layer_norm_2", "feed_forward_norm"),
    *dense("mlp/dense_1", "D F, F", "feed_forward/up"),
    *dense("mlp/dense_2", "F D, D", "feed_forward/down"),
]


def _backbone(fields: Fields) -> list[Rule]:
    embedding, encoder = "layers/vi_t_patching_and_embedding", "layers/vi_t_encoder"
    token = [Rule(f"{embedding}/vars/0", ("1", "1", "D"), ("class_token",))] if fields["class_token"] else []
    own = [
        *token,
        *dense(f"{embedding}/patch_embedding", "P Q C D, D", "patch_embedding"),
        row(f"{embedding}/position_embedding", "T D", "position_embedding"),
        *blocks(f"{encoder}/encoder_layers/vi_t_encoder_block", "block", fields["num_layers"], _BLOCK),
        *norm(f"{encoder}/layer_norm", "norm"),
    ]
    return prefixed("", "backbone/", own)


def _classifier(fields: Fields) -> list[Rule]:
    if not fields["num_classes"]:
        return []
    if not fields["representation_size"]:
        return dense("task/layers/dense", "D N, N", "head/classifier")
    return [
        *dense("task/layers/dense", "D E, E", "head/representation"),
        *dense("task/layers/dense_1", "E N, N", "head/classifier"),
    ]


def _dims(fields: Fields) -> dict[str, int]:
    own = huggingface.dims(fields)
    heads = {"H": fields["num_heads"], "A": fields["d_model"] // fields["num_heads"]}
    return {**own, **heads, "P": own["H"], "Q": own["W"], "T": own["P"]}


def _inferred(config: Mapping[str, Any]) -> dict[str, Any]:
    height, width, channels = config["image_shape"]
    down, across = pair(config["patch_size"])
    pooling = config.get("task.pooling", "token" if config.get("use_class_token", True) else "gap")
    if pooling not in ("token", "gap"):
        raise ValueError(f"the preset's classifier has pooling={pooling!r}; known are 'token' and 'gap'.")
    everything = pooling == "gap"
    return {
        "image_size": height if height == width else (height, width),
        "channels": channels,
        "patch_size": down if down == across else (down, across),
        "pooling": "mean" if everything else "token",
        "pool_prefix": everything,
        "fc_norm": False if everything else None,
    }


def _derived(fields: Fields) -> dict[str, Any]:
    return {
        "image_shape": (*pair(fields["image_size"]), fields["channels"]),
        "patch_size": tuple(pair(fields["patch_size"])),
    }


_SPOKEN = ("class_token", "pooling", "pool_prefix", "fc_norm", "representation_size", "activation_dropout")

VIT = KerasHubFamily(
    model_type="keras_hub/ViTBackbone",
    prefix="",
    settings=(
        Setting("num_layers", "num_layers", None),
        Setting("num_heads", "num_heads", None),
        Setting("hidden_dim", "d_model", None),
        Setting("mlp_dim", "d_ff", None),
        Setting("dropout_rate", "dropout", 0.0),
        Setting("dropout_rate", "position_dropout", 0.0),
        Setting("dropout_rate", "activation_dropout", 0.0),
        Setting("attention_dropout", "attention_dropout", 0.0),
        Setting("layer_norm_epsilon", "norm_epsilon", 1e-6),
        Setting("use_class_token", "class_token", True),
        Setting("task.num_classes", "num_classes", 0),
        Setting("task.intermediate_dim", "representation_size", None),
        Setting("task.dropout", "head_dropout", 0.0),
    ),
    fixed={
        **{name: value for name, value in huggingface.FIXED.items() if name not in _SPOKEN},
        "activation": "gelu",
        "qkv_bias": True,
    },
    required={"use_mha_bias": True, "use_mlp_bias": True, "use_patch_bias": True},
    dims=_dims,
    backbone=_backbone,
    heads={
        "VisionTransformer": Head("ViTImageClassifier", _classifier, {"task.activation": "linear"}),
        "ViTBackbone": Head("ViTBackbone", alone=True),
    },
    normalized=huggingface.normalized,
    classes="num_classes",
    inferred=_inferred,
    derived=_derived,
    read_from=("image_shape", "patch_size", "task.pooling"),
    unread=("image_size", "patch_size", "channels", "initializer_range"),
)

FAMILIES = (VIT,)
