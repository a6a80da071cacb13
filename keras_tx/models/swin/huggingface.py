"""Swin Transformers, of both versions, as Transformers keeps them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from keras_tx.convert.family import ACTIVATIONS, Family, Head, Setting
from keras_tx.convert.table import Rule, convolution, linear, norm, prefixed, same, transposed
from keras_tx.ops.image.patches import grid, pair
from keras_tx.ops.image.windows import WindowFit, fit_windows, window_of_each

Fields = Mapping[str, Any]

# === Tensors ===
# Letters with a number are of that stage: D width, F feed-forward width, H heads, R rows of the table of biases.


def _block(stage: int, fields: Fields) -> list[Rule]:
    """The rules of a block of a stage, below it."""
    d, f = f"D{stage}", f"F{stage}"
    names = ("query", "key", "value")
    return [
        *norm("layernorm_before", d, "attention_norm"),
        *(transposed(f"attention.self.{name}.weight", f"{d} {d}", f"attention/{name}/kernel") for name in names),
        *(same(f"attention.self.{name}.bias", d, f"attention/{name}/bias") for name in biased(fields)),
        *prefixed("attention.self.", "attention/", scores(stage, fields, "continuous_position_bias_mlp")),
        *linear("attention.output.dense", f"{d} {d}", "attention/output"),
        *norm("layernorm_after", d, "feed_forward_norm"),
        *linear("intermediate.dense", f"{f} {d}", "feed_forward/up"),
        *linear("output.dense", f"{d} {f}", "feed_forward/down"),
    ]


def biased(fields: Fields) -> tuple[str, ...]:
    """Those of an attention's maps that have biases."""
    if not fields["qkv_bias"]:
        return ()
    return ("query", "key", "value") if fields["scores"] == "dot" else ("query", "value")


def scores(stage: int, fields: Fields, network: str) -> list[Rule]:
    """The rules of what makes an attention's scores, below it; the network of offsets is called so."""
    rules = [same("logit_scale", f"H{stage} 1 1", "logit_scale")] if fields["scores"] == "cosine" else []
    if fields["position_bias"] == "table":
        return [*rules, same("relative_position_bias_table", f"R{stage} H{stage}", "position_bias/table")]
    return [
        *rules,
        *linear(f"{network}.0", "512 2", "position_bias/up"),
        transposed(f"{network}.2.weight", f"H{stage} 512", "position_bias/down/kernel"),
    ]


def merging(stage: int, fields: Fields) -> list[Rule]:
    """The rules of the step after a stage, below it."""
    d = f"D{stage}"
    return [
        *norm("norm", f"4{d}" if fields["norm_position"] == "pre" else f"2{d}", "norm"),
        transposed("reduction.weight", f"2{d} 4{d}", "reduction/kernel"),
    ]


def _backbone(prefix: str) -> Callable[[Fields], list[Rule]]:
    """The rules of an encoder whose tensors are called so."""

    def rules(fields: Fields) -> list[Rule]:
        own = [
            *convolution("embeddings.patch_embeddings.projection", "D0 C P Q", "patch_embedding"),
            *norm("embeddings.norm", "D0", "patch_norm"),
            *norm("layernorm", "D", "final_norm"),
        ]
        if fields["absolute_positions"]:
            own.append(same("embeddings.position_embeddings", "1 G D0", "positions"))
        for stage, depth in enumerate(fields["depths"]):
            layer = f"encoder.layers.{stage}."
            for i in range(depth):
                own += prefixed(f"{layer}blocks.{i}.", f"stage_{stage}_block_{i}/", _block(stage, fields))
            if stage < len(fields["depths"]) - 1:
                own += prefixed(f"{layer}downsample.", f"merging_{stage}/", merging(stage, fields))
        return prefixed(prefix, "backbone/", own)

    return rules


def dims(fields: Fields) -> dict[str, int]:
    """The dimensions of the tensors."""
    (p, q), stages = pair(fields["patch_size"]), len(fields["depths"])
    result = {
        "P": p,
        "Q": q,
        "C": fields["channels"],
        "G": math.prod(grid(fields["image_size"], fields["patch_size"])),
        "D": fields["embed_dim"] * 2 ** (stages - 1),
        "N": fields["num_classes"],
        "X": fields["encoder_stride"] ** 2 * fields["channels"],
    }
    for stage, ((height, width), _) in enumerate(_windows(fields, fields["window_fit"])):
        dim = fields["embed_dim"] * 2**stage
        result |= {
            f"D{stage}": dim,
            f"F{stage}": int(fields["mlp_ratio"] * dim),
            f"H{stage}": fields["num_heads"][stage],
            f"R{stage}": (2 * height - 1) * (2 * width - 1),
        }
    return result


def _windows(fields: Fields, fit: WindowFit) -> list:
    sizes = window_of_each(fields["window_size"], len(fields["depths"]))
    return fit_windows(sizes, grid(fields["image_size"], fields["patch_size"]), fit)


def classifier(name: str) -> Callable[[Fields], list[Rule]]:
    """The rules of a classifier of that name; none without classes."""
    return lambda fields: linear(name, "N D", "head/classifier") if fields["num_classes"] else []


def _decoder(prefix: str) -> Callable[[Fields], list[Rule]]:
    return lambda fields: [
        same(f"{prefix}embeddings.mask_token", "1 1 D0", "backbone/mask_token"),
        *convolution("decoder.0", "X D 1 1", "head/decoder"),
    ]


# === Configs ===


def normalized(fit: WindowFit, pad_images: bool) -> Callable[[Fields], Fields]:
    """Our fields, with another format's rules for windows and images that come to the same at `image_size`."""

    def same_spelling(fields: Fields) -> Fields:
        result = dict(fields)
        sizes = window_of_each(fields["window_size"], len(fields["depths"]))
        if not isinstance(fields["window_size"], int) and len(set(sizes)) == 1 and len(set(sizes[0])) == 1:
            result["window_size"] = sizes[0][0]
        if _effective(fields, fit) == _effective(fields, fields["window_fit"]):
            result["window_fit"] = fit
        pairs = zip(pair(fields["image_size"]), pair(fields["patch_size"]), strict=True)
        if not any(length % part for length, part in pairs):
            result["pad_images"] = pad_images
        return result

    return same_spelling


def _effective(fields: Fields, fit: WindowFit) -> list:
    """Returns each stage's window and shift at `image_size`, and the fit where that matters."""
    rows, columns = grid(fields["image_size"], fields["patch_size"])
    result = []
    for stage, (window, shift) in enumerate(_windows(fields, fit)):
        size = (-(-rows // 2**stage), -(-columns // 2**stage))
        if fit == "shorter_side" and min(size) <= min(window):
            shift = (0, 0)
        whole = not any(length % part for length, part in zip(size, window, strict=True))
        result.append((window, shift, None if whole or shift == (0, 0) else fit == "axes"))
    return result


def _one_window(fields: Fields) -> dict[str, Any]:
    if not isinstance(fields["window_size"], int):
        raise ValueError(
            f"this format has one `window_size` for all stages; this model's is {fields['window_size']}: save it with "
            'format="keras_tx".'
        )
    return {}


_SETTINGS = (
    Setting("image_size", "image_size", 224),
    Setting("patch_size", "patch_size", 4),
    Setting("num_channels", "channels", 3),
    Setting("embed_dim", "embed_dim", 96),
    Setting("depths", "depths", (2, 2, 6, 2)),
    Setting("num_heads", "num_heads", (3, 6, 12, 24)),
    Setting("window_size", "window_size", 7),
    Setting("mlp_ratio", "mlp_ratio", 4.0),
    Setting("qkv_bias", "qkv_bias", True),
    Setting("hidden_dropout_prob", "dropout", 0.0),
    Setting("attention_probs_dropout_prob", "attention_dropout", 0.0),
    Setting("drop_path_rate", "drop_path", 0.1),
    Setting("hidden_act", "activation", "gelu", names=ACTIVATIONS),
    Setting("use_absolute_embeddings", "absolute_positions", False),
    Setting("initializer_range", "initializer_range", 0.02),
    Setting("layer_norm_eps", "norm_epsilon", 1e-5),
    Setting("encoder_stride", "encoder_stride", 32),
)

SWIN = Family(
    model_type="swin",
    prefix="swin.",
    settings=_SETTINGS,
    fixed={
        "scores": "dot",
        "position_bias": "table",
        "norm_position": "pre",
        "patch_norm": True,
        "pad_images": True,
        "window_fit": "shorter_side",
    },
    required={},
    dims=dims,
    backbone=_backbone("swin."),
    heads={
        "SwinTransformer": Head("SwinForImageClassification", classifier("classifier")),
        "SwinForMaskedImageModeling": Head("SwinForMaskedImageModeling", _decoder("swin.")),
        "SwinBackbone": Head("SwinModel", alone=True),
    },
    normalized=normalized("shorter_side", True),
    ignored=(r".*\.relative_position_index",),
    left_out=(r"classifier\.\w+", r"(swin\.)?embeddings\.mask_token", r"decoder\..*"),
    classes="num_classes",
    derived=_one_window,
)

_V2_RULES = {
    "scores": "cosine",
    "position_bias": "continuous",
    "norm_position": "post",
    "window_fit": "height",
    "absolute_positions": False,
}


def pretrained_windows(sizes: Any, stages: int) -> Any:
    """Our field of what peers keep for each stage, and for stages that there are not."""
    return tuple(sizes)[:stages] if sizes else 0


def _pretrained_windows(fields: Fields) -> dict[str, Any]:
    windows = window_of_each(fields["pretrained_window_size"], len(fields["depths"]), "pretrained_window_size")
    if any(height != width for height, width in windows):
        raise ValueError(
            f"this format has square windows; this model's `pretrained_window_size` is {windows}: save it with "
            'format="keras_tx".'
        )
    return {**_one_window(fields), "pretrained_window_sizes": [height for height, _ in windows]}


SWIN_V2 = dataclasses.replace(
    SWIN,
    model_type="swinv2",
    prefix="swinv2.",
    settings=tuple(setting for setting in _SETTINGS if setting.field != "absolute_positions"),
    fixed={**SWIN.fixed, **_V2_RULES},
    required={"use_absolute_embeddings": False},  # the peer adds one row more than there are patches, and fails
    backbone=_backbone("swinv2."),
    heads={
        "SwinTransformer": Head("Swinv2ForImageClassification", classifier("classifier")),
        "SwinForMaskedImageModeling": Head("Swinv2ForMaskedImageModeling", _decoder("swinv2.")),
        "SwinBackbone": Head("Swinv2Model", alone=True),
    },
    normalized=normalized("height", True),
    ignored=(r".*\.relative_(position_index|coords_table)",),
    left_out=(r"classifier\.\w+", r"(swinv2\.)?embeddings\.mask_token", r"decoder\..*"),
    inferred=lambda config: {
        "pretrained_window_size": pretrained_windows(config.get("pretrained_window_sizes"), len(config["depths"]))
    },
    derived=_pretrained_windows,
)


def _headless(family: Family, architecture: str) -> Family:
    """The encoder by itself, whose tensors are called as those of the others, or without their prefix."""
    return dataclasses.replace(
        family,
        fixed={**family.fixed, "num_classes": 0},
        heads={"SwinTransformer": Head(architecture), "SwinBackbone": Head(architecture, alone=True)},
        inferred=lambda config: {**family.inferred(config), "num_classes": 0},
    )


CLASSIFIERS = (SWIN, _headless(SWIN, "SwinModel"), SWIN_V2, _headless(SWIN_V2, "Swinv2Model"))
MASKED = (SWIN, SWIN_V2)
