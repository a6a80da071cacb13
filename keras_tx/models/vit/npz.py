"""Vision Transformers as the paper's authors published them: one `.npz`, named as their JAX modules are.

It holds no config: the shapes say all but the epsilon and the activation, which are taken as timm and Transformers take
them. (The authors' code approximates GELU by tanh: `activation="gelu_tanh"` gives its numbers.)
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from keras_tx.convert.family import Family, Head
from keras_tx.convert.table import Rule, prefixed, same
from keras_tx.layers.image.resnet_stem import resnet_stride, resnet_width
from keras_tx.models.vit import timm_stem as resnet_stem
from keras_tx.models.vit.huggingface import FIXED, dims

Fields = Mapping[str, Any]


def _flattened(peer: str, shape: str, own: str) -> Rule:
    """A tensor whose heads have an axis of their own."""
    return Rule(peer, tuple(shape.split()), (own,), flattened=True)


def _linear(peer: str, shape: str, own: str) -> list[Rule]:
    kernel = same(f"{peer}/kernel", shape, f"{own}/kernel")
    return [kernel, same(f"{peer}/bias", shape.split()[-1], f"{own}/bias")]


def _norm(peer: str, own: str) -> list[Rule]:
    return [same(f"{peer}/scale", "D", f"{own}/gamma"), same(f"{peer}/bias", "D", f"{own}/beta")]


_ATTENTION = "MultiHeadDotProductAttention_1"
_BLOCK = [
    *_norm("LayerNorm_0", "attention_norm"),
    *(_flattened(f"{_ATTENTION}/{x}/kernel", "D A K", f"attention/{x}/kernel") for x in ("query", "key", "value")),
    *(_flattened(f"{_ATTENTION}/{x}/bias", "A K", f"attention/{x}/bias") for x in ("query", "key", "value")),
    _flattened(f"{_ATTENTION}/out/kernel", "A K D", "attention/output/kernel"),
    same(f"{_ATTENTION}/out/bias", "D", "attention/output/bias"),
    *_norm("LayerNorm_2", "feed_forward_norm"),
    *_linear("MlpBlock_3/Dense_0", "D F", "feed_forward/up"),
    *_linear("MlpBlock_3/Dense_1", "F D", "feed_forward/down"),
]


def _backbone(fields: Fields) -> list[Rule]:
    stem = fields["stem"]
    own = [
        same("cls", "1 1 D", "class_token"),
        same("Transformer/posembed_input/pos_embedding", "1 P D", "position_embedding"),
        *prefixed("", "stem/", [] if stem is None else resnet_stem.npz(stem)),
        same("embedding/kernel", "H W C D" if stem is None else "H W S D", "patch_embedding/kernel"),
        same("embedding/bias", "D", "patch_embedding/bias"),
        *(
            rule
            for i in range(fields["num_layers"])
            for rule in prefixed(f"Transformer/encoderblock_{i}/", f"block_{i}/", _BLOCK)
        ),
        *_norm("Transformer/encoder_norm", "norm"),
    ]
    return prefixed("", "backbone/", own)


def _head(fields: Fields) -> list[Rule]:
    width = "E" if fields["representation_size"] else "D"
    representation = _linear("pre_logits", "D E", "head/representation") if fields["representation_size"] else []
    return [*representation, *(_linear("head", f"{width} N", "head/classifier") if fields["num_classes"] else [])]


def _from_shapes(config: Mapping[str, Any]) -> dict[str, Any]:
    shapes = config["shapes"]
    height, width, channels, d_model = shapes["embedding/kernel"]
    stem, scale = _stem_from(shapes), 1
    if stem is not None:
        channels, scale = shapes["conv_root/kernel"][2], resnet_stride(stem)
    side = scale * math.isqrt(shapes["Transformer/posembed_input/pos_embedding"][1] - 1)
    first = "Transformer/encoderblock_0"
    return {
        "image_size": height * side if height == width else (height * side, width * side),
        "patch_size": height if height == width else (height, width),
        "stem": stem,
        "channels": channels,
        "d_model": d_model,
        "d_ff": shapes[f"{first}/MlpBlock_3/Dense_0/kernel"][1],
        "num_heads": shapes[f"{first}/{_ATTENTION}/query/kernel"][1],
        "num_layers": len([name for name in shapes if re.fullmatch(r".*encoderblock_\d+/LayerNorm_0/scale", name)]),
        "num_classes": shapes.get("head/bias", (0,))[0],
        "representation_size": shapes.get("pre_logits/bias", (None,))[0],
        "norm_epsilon": 1e-6,
        "activation": "gelu",
    }


def _stem_from(shapes: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Returns how many bottleneck blocks each stage of a ResNet has."""
    if "conv_root/kernel" not in shapes:
        return None
    stages = Counter(match[1] for name in shapes if (match := re.fullmatch(r"block(\d+)/unit\d+/conv1/kernel", name)))
    return tuple(stages[stage] for stage in sorted(stages))


class _Npz(Family):
    def reads(self, config: Mapping[str, Any]) -> bool:
        needed = {"embedding/kernel", "cls", "Transformer/posembed_input/pos_embedding"}
        return super().reads(config) and needed <= config["shapes"].keys()


VIT = _Npz(
    model_type="npz",
    prefix="",
    settings=(),
    fixed={name: value for name, value in FIXED.items() if name != "stem"},
    required={},
    dims=lambda fields: {
        **dims(fields),
        "S": resnet_width(fields["stem"] or ()),
        "A": fields["num_heads"],
        "K": fields["d_model"] // fields["num_heads"],
    },
    backbone=_backbone,
    heads={"VisionTransformer": Head("VisionTransformer", _head), "ViTBackbone": Head("", alone=True)},
    left_out=(r"head/\w+", r"pre_logits/\w+"),
    classes="num_classes",
    inferred=_from_shapes,
    read_only=True,
)

FAMILIES = (VIT,)
