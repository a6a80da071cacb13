"""Vision Transformers as Transformers keeps them: ViT, DeiT, masked autoencoders."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from keras_tx.convert.family import ACTIVATIONS, Family, Head, Setting
from keras_tx.convert.table import Rule, convolution, linear, norm, prefixed, same, transposed
from keras_tx.layers.image.resnet_stem import resnet_stride
from keras_tx.ops.image.patches import grid, pair
from keras_tx.ops.image.pooling import REDUCTIONS

Fields = Mapping[str, Any]

# === Tensors ===


def _block(qkv_bias: bool) -> list[Rule]:
    """The rules of a block, below it."""
    names = ("query", "key", "value")
    biases = [same(f"attention.attention.{name}.bias", "D", f"attention/{name}/bias") for name in names]
    return [
        *norm("layernorm_before", "D", "attention_norm"),
        *(transposed(f"attention.attention.{name}.weight", "D D", f"attention/{name}/kernel") for name in names),
        *(biases if qkv_bias else []),
        *linear("attention.output.dense", "D D", "attention/output"),
        *norm("layernorm_after", "D", "feed_forward_norm"),
        *linear("intermediate.dense", "F D", "feed_forward/up"),
        *linear("output.dense", "D F", "feed_forward/down"),
    ]


def _backbone(prefix: str) -> Callable[[Fields], list[Rule]]:
    """The rules of an encoder whose tensors are called so."""

    def rules(fields: Fields) -> list[Rule]:
        tokens = [same("embeddings.cls_token", "1 1 D", "class_token")]
        if fields["distillation_token"]:
            tokens.append(same("embeddings.distillation_token", "1 1 D", "distillation_token"))
        own = [
            *tokens,
            same("embeddings.position_embeddings", "1 P D", "position_embedding"),
            *convolution("embeddings.patch_embeddings.projection", "D C H W", "patch_embedding"),
            *(
                rule
                for i in range(fields["num_layers"])
                for rule in prefixed(f"encoder.layer.{i}.", f"block_{i}/", _block(fields["qkv_bias"]))
            ),
            *norm("layernorm", "D", "norm"),
        ]
        return prefixed(prefix, "backbone/", own)

    return rules


def dims(fields: Fields) -> dict[str, int]:
    """The dimensions of an encoder's tensors."""
    height, width = pair(fields["patch_size"])
    scale = 1 if fields["stem"] is None else resnet_stride(fields["stem"])
    rows, columns = grid(fields["image_size"], (height * scale, width * scale))
    prefix = fields["class_token"] + fields["distillation_token"] + fields["register_tokens"]
    return {
        "D": fields["d_model"],
        "F": fields["d_ff"],
        "C": fields["channels"],
        "H": height,
        "W": width,
        "G": rows * columns,
        "P": rows * columns + (0 if fields["no_embed_class"] else prefix),
        "N": fields["num_classes"],
        "E": fields["representation_size"] or 0,
        "X": height * width * fields["channels"],
    }


def _classifier(peer: str = "classifier", distilled: str | None = None) -> Callable[[Fields], list[Rule]]:
    """The rules of a classifier, and of the distillation token's if there is one; none without classes."""
    rules = linear(peer, "N D", "head/classifier")
    if distilled is not None:
        rules = [*rules, *linear(distilled, "N D", "head/distillation_classifier")]
    return lambda fields: rules if fields["num_classes"] else []


def _pooler(prefix: str) -> Callable[[Fields], list[Rule]]:
    """The rules of the layer after an encoder by itself, and of a classifier that it is given."""
    pooler, classifier = linear(f"{prefix}pooler.dense", "E D", "head/representation"), _classifier()
    return lambda fields: [*(pooler if fields["representation_size"] else []), *classifier(fields)]


def _decoder(prefix: str) -> Callable[[Fields], list[Rule]]:
    return lambda fields: [
        same(f"{prefix}embeddings.mask_token", "1 1 D", "backbone/mask_token"),
        *convolution("decoder.0", "X D 1 1", "head/decoder"),
    ]


# === Configs ===

SETTINGS = (
    Setting("image_size", "image_size", 224),
    Setting("patch_size", "patch_size", 16),
    Setting("num_channels", "channels", 3),
    Setting("num_hidden_layers", "num_layers", 12),
    Setting("num_attention_heads", "num_heads", 12),
    Setting("hidden_size", "d_model", 768),
    Setting("intermediate_size", "d_ff", 3072),
    Setting("hidden_act", "activation", "gelu", names=ACTIVATIONS),
    Setting("layer_norm_eps", "norm_epsilon", 1e-12),
    Setting("qkv_bias", "qkv_bias", True),
    Setting("hidden_dropout_prob", "dropout", 0.0),
    Setting("hidden_dropout_prob", "position_dropout", 0.0),
    Setting("attention_probs_dropout_prob", "attention_dropout", 0.0),
    Setting("initializer_range", "initializer_range", 0.02),
)
FIXED: dict[str, Any] = {
    "stem": None,
    "gated": False,
    "qk_norm": False,
    "layer_scale": None,
    "class_token": True,
    "distillation_token": False,
    "distillation_head": False,
    "register_tokens": 0,
    "no_embed_class": False,
    "pre_norm": False,
    "pooling": "token",
    "pool_prefix": False,
    "fc_norm": None,
    "representation_size": None,
    "pad_images": False,
    "activation_dropout": 0.0,
}


def normalized(fields: Fields) -> Fields:
    """Returns the fields with `fc_norm` None where it is the default."""
    default = fields["pooling"] in REDUCTIONS
    return {**fields, "fc_norm": None if fields["fc_norm"] == default else fields["fc_norm"]}


def _pooler_width(config: Mapping[str, Any]) -> dict[str, int]:
    return {"representation_size": config.get("pooler_output_size") or config.get("hidden_size", 768)}


def _without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in FIXED.items() if name not in names}


_ALONE = {"ViTBackbone": Head("ViTModel", alone=True)}
_DISTILLED_ALONE = {"ViTBackbone": Head("DeiTModel", alone=True)}

VIT = Family(
    model_type="vit",
    prefix="vit.",
    settings=SETTINGS,
    fixed=FIXED,
    required={},
    dims=dims,
    backbone=_backbone("vit."),
    heads={
        "VisionTransformer": Head("ViTForImageClassification", _classifier()),
        "ViTForMaskedImageModeling": Head("ViTForMaskedImageModeling", _decoder("vit.")),
        **_ALONE,
    },
    tensorflow={"qkv_bias": True},  # always, whatever the config says
    normalized=normalized,
    left_out=(r"classifier\.\w+", r"(vit\.)?pooler\.dense\.\w+", r"(vit\.)?embeddings\.mask_token", r"decoder\..*"),
    classes="num_classes",
    derived=lambda fields: {"encoder_stride": pair(fields["patch_size"])[0]},
)

VIT_MODEL = dataclasses.replace(
    VIT,
    fixed={**_without("representation_size"), "num_classes": 0},
    settings=(*SETTINGS, Setting("pooler_output_size", "representation_size", None)),
    required={"pooler_act": "tanh"},
    heads={"VisionTransformer": Head("ViTModel", _pooler("vit.")), **_ALONE},
    inferred=lambda config: {"num_classes": 0, **_pooler_width(config)},
)
"""The encoder by itself, whose tensors are called as those of the others, or without their prefix."""

DEIT = dataclasses.replace(
    VIT,
    model_type="deit",
    prefix="deit.",
    backbone=_backbone("deit."),
    fixed={**FIXED, "distillation_token": True},
    heads={"VisionTransformer": Head("DeiTForImageClassification", _classifier()), **_DISTILLED_ALONE},
    left_out=(
        r"(cls_|distillation_)?classifier\.\w+",
        r"(deit\.)?pooler\.dense\.\w+",
        r"(deit\.)?embeddings\.mask_token",
        r"decoder\..*",
    ),
)

DEIT_WITH_TEACHER = dataclasses.replace(
    DEIT,
    fixed={**DEIT.fixed, "distillation_head": True},
    heads={
        "VisionTransformer": Head(
            "DeiTForImageClassificationWithTeacher",
            _classifier("cls_classifier", "distillation_classifier"),
        ),
        **_DISTILLED_ALONE,
    },
)

DEIT_MODEL = dataclasses.replace(
    DEIT,
    fixed={**_without("representation_size"), "distillation_token": True, "num_classes": 0},
    settings=VIT_MODEL.settings,
    required=VIT_MODEL.required,
    heads={"VisionTransformer": Head("DeiTModel", _pooler("deit.")), **_DISTILLED_ALONE},
    inferred=VIT_MODEL.inferred,
)


def _mae_decoder(fields: Fields) -> list[Rule]:
    widths = {"D": "I", "F": "J"}

    def renamed(rule: Rule, i: int) -> Rule:
        """A rule of the decoder's block i, which newer versions write under another name."""
        shape = tuple(widths[axis] for axis in rule.shape)
        copies = tuple(f"decoder.decoder_encoder.layer.{i}.{name}" for name in (rule.tensor, *rule.copies))
        (rule,) = prefixed(f"decoder.decoder_layers.{i}.", f"head/block_{i}/", [rule])
        return dataclasses.replace(rule, shape=shape, copies=(*rule.copies, *copies))

    return [
        same("decoder.mask_token", "1 1 I", "head/mask_token"),
        same("decoder.decoder_pos_embed", "1 P I", "head/position_embedding"),
        *linear("decoder.decoder_embed", "I D", "head/embedding"),
        *(renamed(rule, i) for i in range(fields["decoder_num_layers"]) for rule in _block(fields["qkv_bias"])),
        *norm("decoder.decoder_norm", "I", "head/norm"),
        *linear("decoder.decoder_pred", "X I", "head/prediction"),
    ]


MAE = dataclasses.replace(
    VIT,
    model_type="vit_mae",
    settings=(
        *SETTINGS,
        Setting("decoder_num_hidden_layers", "decoder_num_layers", 8),
        Setting("decoder_num_attention_heads", "decoder_num_heads", 16),
        Setting("decoder_hidden_size", "decoder_d_model", 512),
        Setting("decoder_intermediate_size", "decoder_d_ff", 2048),
        Setting("mask_ratio", "mask_ratio", 0.75),
        Setting("norm_pix_loss", "norm_pix_loss", False),
    ),
    dims=lambda fields: {**dims(fields), "I": fields["decoder_d_model"], "J": fields["decoder_d_ff"]},
    heads={
        "ViTMAEForPreTraining": Head("ViTMAEForPreTraining", _mae_decoder),
        "ViTMAEBackbone": Head("ViTMAEModel", alone=True),
    },
    derived=lambda fields: {},
)

MAE_ENCODER = dataclasses.replace(
    VIT,
    model_type="vit_mae",
    heads={"VisionTransformer": Head("ViTMAEModel", _classifier()), **_ALONE},
    inferred=lambda config: {"num_classes": 0},
    derived=lambda fields: {},
    read_only=True,
)
"""The encoder of a masked autoencoder, to be fine-tuned; its head starts fresh."""

FAMILIES = (VIT, VIT_MODEL, DEIT, DEIT_WITH_TEACHER, DEIT_MODEL, MAE_ENCODER)
