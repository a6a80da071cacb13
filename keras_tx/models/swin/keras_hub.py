"""The Swin Transformer (Liu et al. 2021) as KerasHub keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_tx.convert.family import Head, Setting
from keras_tx.convert.keras_hub import KerasHubFamily, dense, layer, numbered
from keras_tx.convert.table import Rule, prefixed
from keras_tx.models.swin import huggingface
from keras_tx.ops.image.patches import grid, pair

Fields = Mapping[str, Any]

_QKV = ("attention/query", "attention/key", "attention/value")


def _norm(peer: str, width: str, own: str) -> list[Rule]:
    return layer(peer, f"{width}, {width}", own, "gamma", "beta")


def _block(stage: int, qkv_bias: bool) -> list[Rule]:
    """The rules of a block of a stage, below it."""
    d, f = f"D{stage}", f"F{stage}"
    names = ("kernel", "bias") if qkv_bias else ("kernel",)
    shapes = ((d, f"3{d}"), (f"3{d}",))
    return [
        *_norm("norm1", d, "attention_norm"),
        *(
            Rule(f"attn/qkv/vars/{i}", shapes[i], tuple(f"{path}/{name}" for path in _QKV))
            for i, name in enumerate(names)
        ),
        *layer("attn", f"R{stage} H{stage}", "attention/position_bias", "table"),
        *dense("attn/proj", f"{d} {d}, {d}", "attention/output"),
        *_norm("norm2", d, "feed_forward_norm"),
        *dense("mlp/fc1", f"{d} {f}, {f}", "feed_forward/up"),
        *dense("mlp/fc2", f"{f} {d}, {d}", "feed_forward/down"),
    ]


def _backbone(fields: Fields) -> list[Rule]:
    embedding, last = "layers/patch_embedding", len(fields["depths"]) - 1
    rules = [
        *dense(f"{embedding}/proj", "P Q C D0, D0", "patch_embedding"),
        *(_norm(f"{embedding}/norm", "D0", "patch_norm") if fields["patch_norm"] else []),
        *_norm("layers/layer_normalization", "D", "final_norm"),
    ]
    for stage, depth in enumerate(fields["depths"]):
        peer, d = numbered("layers/swin_transformer_stage", stage), f"D{stage}"
        for i in range(depth):
            block = f"{numbered(f'{peer}/blocks/swin_transformer_block', i)}/"
            rules += prefixed(block, f"stage_{stage}_block_{i}/", _block(stage, fields["qkv_bias"]))
        if stage < last:
            rules += _norm(f"{peer}/downsample/norm", f"4{d}", f"merging_{stage}/norm")
            rules += layer(f"{peer}/downsample/reduction", f"4{d} 2{d}", f"merging_{stage}/reduction", "kernel")
    return prefixed("", "backbone/", rules)


def _classifier(fields: Fields) -> list[Rule]:
    return dense("task/layers/dense", "D N, N", "head/classifier") if fields["num_classes"] else []


def _inferred(config: Mapping[str, Any]) -> dict[str, Any]:
    height, width, channels = config["image_shape"]
    size = height if height == width else (height, width)
    fields = {"image_size": size, "channels": channels, "depths": tuple(config["depths"])}
    _require_whole_windows({**fields, "patch_size": config.get("patch_size", 4), "window_size": config["window_size"]})
    return fields


def _derived(fields: Fields) -> dict[str, Any]:
    _require_whole_windows(fields)
    return {"image_shape": (*pair(fields["image_size"]), fields["channels"]), "data_format": "channels_last"}


def _require_whole_windows(fields: Fields) -> None:
    """Raises ValueError unless each stage's map is a whole number of windows.

    KerasHub's class shifts other maps in a way of its own: it masks by the map as it is before it is padded.
    """
    window = fields["window_size"]
    if not isinstance(window, int):
        raise ValueError(f"KerasHub's SwinTransformerBackbone has one `window_size` for all stages; got {window}.")
    height, width = grid(fields["image_size"], fields["patch_size"])
    for stage in range(len(fields["depths"])):
        scale = 2**stage
        if height % (scale * window) or width % (scale * window):
            raise ValueError(
                f"the maps of KerasHub's SwinTransformerBackbone must be whole windows of `window_size` = {window}; "
                f"at image_size = {fields['image_size']} the map of stage {stage} is {height / scale:g} x "
                f"{width / scale:g}."
            )


SWIN = KerasHubFamily(
    model_type="keras_hub/SwinTransformerBackbone",
    prefix="",
    settings=(
        Setting("patch_size", "patch_size", 4),
        Setting("embed_dim", "embed_dim", None),
        Setting("num_heads", "num_heads", None),
        Setting("depths", "depths", None),
        Setting("window_size", "window_size", None),
        Setting("mlp_ratio", "mlp_ratio", 4.0),
        Setting("qkv_bias", "qkv_bias", True),
        Setting("attention_dropout", "attention_dropout", 0.0),
        Setting("drop_path", "drop_path", 0.1),
        Setting("patch_norm", "patch_norm", True),
        Setting("task.num_classes", "num_classes", 0),
        Setting("task.dropout", "head_dropout", 0.0),
    ),
    fixed={
        "scores": "dot",
        "position_bias": "table",
        "norm_position": "pre",
        "norm_epsilon": 1e-5,
        "activation": "gelu",
        "absolute_positions": False,
        "pad_images": False,
        "window_fit": "shorter_side",
        "dropout": 0.0,
    },
    required={"dropout_rate": 0.0, "data_format": "channels_last"},
    dims=huggingface.dims,
    backbone=_backbone,
    heads={
        "SwinTransformer": Head(
            "SwinTransformerImageClassifier", _classifier, {"task.activation": "linear", "task.pooling": "gap"}
        ),
        "SwinBackbone": Head("SwinTransformerBackbone", alone=True),
    },
    normalized=huggingface.normalized("shorter_side", False),
    classes="num_classes",
    inferred=_inferred,
    derived=_derived,
    read_from=("image_shape",),
    unread=("image_size", "channels", "pretrained_window_size", "norm_scale", "initializer_range"),
)
"""Its dropout is inside the feed-forward network, too, where ours has none: none it has to be."""

FAMILIES = (SWIN,)
