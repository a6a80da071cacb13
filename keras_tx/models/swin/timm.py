"""Swin Transformers, of both versions, as timm keeps them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from keras_tx.convert.family import Head, Setting
from keras_tx.convert.table import Rule, convolution, linear, norm, prefixed, same, transposed
from keras_tx.convert.timm import TimmFamily
from keras_tx.models.swin.huggingface import biased, classifier, dims, merging, normalized, pretrained_windows, scores
from keras_tx.ops.image.windows import window_of_each

Fields = Mapping[str, Any]

# === Tensors ===

_QKV = ("attention/query", "attention/key", "attention/value")


def _block(stage: int, fields: Fields) -> list[Rule]:
    """The rules of a block of a stage, below it."""
    d, f = f"D{stage}", f"F{stage}"
    if fields["scores"] == "dot":
        biases = [same("attn.qkv.bias", f"3{d}", *(f"{path}/bias" for path in _QKV))] if fields["qkv_bias"] else []
    else:
        biases = [same(f"attn.{name[0]}_bias", d, f"attention/{name}/bias") for name in biased(fields)]
    return [
        *norm("norm1", d, "attention_norm"),
        transposed("attn.qkv.weight", f"3{d} {d}", *(f"{path}/kernel" for path in _QKV)),
        *biases,
        *prefixed("attn.", "attention/", scores(stage, fields, "cpb_mlp")),
        *linear("attn.proj", f"{d} {d}", "attention/output"),
        *norm("norm2", d, "feed_forward_norm"),
        *linear("mlp.fc1", f"{f} {d}", "feed_forward/up"),
        *linear("mlp.fc2", f"{d} {f}", "feed_forward/down"),
    ]


def _renamed(tensors: Mapping[str, Any]) -> Mapping[str, Any]:
    """The tensors by timm's names, where they have those of the authors: merging then ends a stage, not begins one."""
    if "layers.0.downsample.reduction.weight" not in tensors:
        return tensors

    def renamed(name: str) -> str:
        name = re.sub(r"^layers\.(\d+)\.downsample", lambda found: f"layers.{int(found[1]) + 1}.downsample", name)
        return re.sub(r"^head\.", "head.fc.", name)

    return {renamed(name): tensor for name, tensor in tensors.items()}


def _backbone(fields: Fields) -> list[Rule]:
    rules = [
        *convolution("patch_embed.proj", "D0 C P Q", "patch_embedding"),
        *norm("patch_embed.norm", "D0", "patch_norm"),
        *norm("norm", "D", "final_norm"),
    ]
    for stage, depth in enumerate(fields["depths"]):
        if stage:
            rules += prefixed(f"layers.{stage}.downsample.", f"merging_{stage - 1}/", merging(stage - 1, fields))
        for i in range(depth):
            rules += prefixed(f"layers.{stage}.blocks.{i}.", f"stage_{stage}_block_{i}/", _block(stage, fields))
    return prefixed("", "backbone/", rules)


# === Architectures ===

_T = {"embed_dim": 96, "depths": (2, 2, 6, 2), "num_heads": (3, 6, 12, 24)}
_S = {"embed_dim": 96, "depths": (2, 2, 18, 2), "num_heads": (3, 6, 12, 24)}
_B = {"embed_dim": 128, "depths": (2, 2, 18, 2), "num_heads": (4, 8, 16, 32)}
_L = {"embed_dim": 192, "depths": (2, 2, 18, 2), "num_heads": (6, 12, 24, 48)}
_SIZES = {"tiny": _T, "small": _S, "base": _B, "large": _L}

ARCHITECTURES = {
    **{f"swin_{size}_patch4_window7_224": {**_SIZES[size], "window_size": 7} for size in _SIZES},
    **{f"swin_{size}_patch4_window12_384": {**_SIZES[size], "window_size": 12} for size in ("base", "large")},
    "swin_s3_tiny_224": {**_T, "window_size": (7, 7, 14, 7)},
    "swin_s3_small_224": {**_S, "window_size": (14, 14, 14, 7)},
    "swin_s3_base_224": {**_S, "depths": (2, 2, 30, 2), "window_size": (7, 7, 14, 7)},
}

_TRAINED_AT_12 = {"pretrained_window_sizes": (12, 12, 12, 6)}

ARCHITECTURES_V2 = {
    f"swinv2_{size}_window{name}": {**_SIZES[size], "window_size": window, **more}
    for sizes, name, window, more in (
        ("tiny small base", "8_256", 8, {}),
        ("tiny small base", "16_256", 16, {}),
        ("base large", "12_192", 12, {}),
        ("base large", "12to16_192to256", 16, _TRAINED_AT_12),
        ("base large", "12to24_192to384", 24, _TRAINED_AT_12),
    )
    for size in sizes.split()
}

# === Configs ===


def _window_size(config: Mapping[str, Any]) -> dict[str, Any]:
    """Our field of a number, a pair for all stages, or something for each."""
    size = config.get("window_size", 7)
    if not isinstance(size, int) and len(size) == 2 and all(isinstance(length, int) for length in size):
        size = [tuple(size)] * len(config["depths"])
    return {"window_size": size if isinstance(size, int) else tuple(size)}


def _window_arguments(fields: Fields) -> dict[str, Any]:
    size, stages = fields["window_size"], len(fields["depths"])
    return {"window_size": size if isinstance(size, int) else [list(pair) for pair in window_of_each(size, stages)]}


_SETTINGS = (
    Setting("img_size", "image_size", 224),
    Setting("patch_size", "patch_size", 4),
    Setting("in_chans", "channels", 3),
    Setting("embed_dim", "embed_dim", 96),
    Setting("depths", "depths", (2, 2, 6, 2)),
    Setting("num_heads", "num_heads", (3, 6, 12, 24)),
    Setting("window_size", "window_size", 7),
    Setting("mlp_ratio", "mlp_ratio", 4.0),
    Setting("qkv_bias", "qkv_bias", True),
    Setting("drop_rate", "head_dropout", 0.0),
    Setting("proj_drop_rate", "dropout", 0.0),
    Setting("attn_drop_rate", "attention_dropout", 0.0),
    Setting("drop_path_rate", "drop_path", 0.1),
)

_ACTIVATIONS = ("gelu", "gelu_tanh", "quick_gelu", "relu", "relu6", "silu", "mish", "tanh")
"""Called the same there and here."""

SWIN = TimmFamily(
    model_type="timm/swin",
    prefix="",
    settings=_SETTINGS,
    fixed={
        "scores": "dot",
        "position_bias": "table",
        "norm_position": "pre",
        "norm_epsilon": 1e-5,
        "activation": "gelu",
        "patch_norm": True,
        "pad_images": False,
        "absolute_positions": False,
        "window_fit": "axes",
    },
    required={"global_pool": "avg", "always_partition": False, "head_dim": None},
    dims=dims,
    backbone=_backbone,
    heads={
        "SwinTransformer": Head("SwinTransformer", classifier("head.fc")),
        "SwinBackbone": Head("SwinTransformer", alone=True),
    },
    normalized=normalized("axes", False),
    ignored=(r".*\.(relative_position_index|attn_mask)",),
    left_out=(r"head\.fc\.\w+",),
    classes="num_classes",
    renamed=_renamed,
    inferred=_window_size,
    derived=_window_arguments,
    architectures=ARCHITECTURES,
    pretrained_cfg={"first_conv": "patch_embed.proj", "classifier": "head.fc"},
)


def _all_windows(config: Mapping[str, Any]) -> dict[str, Any]:
    sizes = pretrained_windows(config.get("pretrained_window_sizes"), len(config["depths"]))
    return {**_window_size(config), "pretrained_window_size": sizes}


def _all_window_arguments(fields: Fields) -> dict[str, Any]:
    stages = len(fields["depths"])
    pretrained = window_of_each(fields["pretrained_window_size"], stages, "pretrained_window_size")
    return {**_window_arguments(fields), "pretrained_window_sizes": [list(window) for window in pretrained]}


SWIN_V2 = dataclasses.replace(
    SWIN,
    model_type="timm/swinv2",
    settings=(
        *_SETTINGS,
        Setting("pretrained_window_sizes", "pretrained_window_size", 0),
        Setting("act_layer", "activation", "gelu", names={name: name for name in _ACTIVATIONS}, closed=True),
    ),
    fixed={name: value for name, value in SWIN.fixed.items() if name != "activation"}
    | {"scores": "cosine", "position_bias": "continuous", "norm_position": "post"},
    required={"global_pool": "avg", "always_partition": False},
    ignored=(r".*\.(relative_position_index|relative_coords_table|attn_mask)",),
    inferred=_all_windows,
    derived=_all_window_arguments,
    architectures=ARCHITECTURES_V2,
)

FAMILIES = (SWIN, SWIN_V2)
