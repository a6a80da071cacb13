"""The Vision Transformers that timm names, and the arguments of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_SIZES: dict[str, dict[str, Any]] = {
    name: {"embed_dim": width, "depth": depth, "num_heads": heads, "mlp_ratio": ratio}
    for name, width, depth, heads, ratio in (
        ("wee", 256, 14, 4, 5.0),
        ("little", 320, 14, 5, 5.6),
        ("tiny", 192, 12, 3, 4.0),
        ("xsmall", 256, 10, 4, 4.0),
        ("small", 384, 12, 6, 4.0),
        ("medium", 512, 12, 8, 4.0),
        ("mediumd", 512, 20, 8, 4.0),
        ("betwixt", 640, 12, 10, 4.0),
        ("base", 768, 12, 12, 4.0),
        ("so150m", 896, 18, 14, 2.572),
        ("so150m2", 832, 21, 13, 34 / 13),
        ("large", 1024, 24, 16, 4.0),
        ("so400m", 1152, 27, 16, 3.7362),
        ("huge", 1280, 32, 16, 4.0),
        ("giant", 1408, 40, 16, 48 / 11),
        ("giantopt", 1536, 40, 16, 4.0),
        ("gigantic", 1664, 48, 16, 64 / 13),
    )
}
_CLIP = {"pre_norm": True, "norm_eps": 1e-5}
_QUICK = {**_CLIP, "act_layer": "quick_gelu"}
_GAP = {"class_token": False, "global_pool": "avg", "fc_norm": False}
_MEDIUM_GAP = {**_GAP, "qkv_bias": False, "init_values": 1e-6}
_MAP = {"class_token": False, "global_pool": "map"}
_TANH = {"act_layer": "gelu_tanh"}
_TIPS = {"init_values": 1.0, "reg_tokens": 1, "no_embed_class": True}
_PLUS = {"embed_dim": 896, "num_heads": 14}
_SWIGLU = {"embed_dim": 1536, "num_heads": 24, "mlp_ratio": 5.33334, "gated": True, "act_layer": "silu"}
_SO150M = {"class_token": False, "reg_tokens": 4}
_SO150M2 = {"init_values": 1e-5, "qkv_bias": False, "class_token": False, "reg_tokens": 1, "global_pool": "avg"}
_TEST = {"embed_dim": 64, "depth": 8, "num_heads": 2, "mlp_ratio": 3.0, "class_token": False, "reg_tokens": 1}
_REGISTERS = {"init_values": 1e-5, "class_token": False, "no_embed_class": True, "global_pool": "avg"}


def _named(template: str, sizes: str, patch_size: int, **arguments: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Architectures of several sizes, by name; templates are separated by spaces."""
    for size in sizes.split():
        for name in template.split():
            yield name.format(size), {**_SIZES[size], "patch_size": patch_size, **arguments}


def _siglip(sizes: str, patch_size: int, images: str, **arguments: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """SigLIP's encoders (Zhai et al. 2023) for images of several sizes, with their attention pooling or without."""
    for image in images.split():
        name = f"vit_{{}}_patch{patch_size}_siglip"
        yield from _named(f"{name}_{image}", sizes, patch_size, **_MAP, **arguments)
        yield from _named(f"{name}_gap_{image}", sizes, patch_size, **_GAP, **arguments)


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
        *_named("vit_{}_patch14_dinov2", "giant", 14, init_values=1e-5, **_SWIGLU),
        *_named(
            "vit_{}_patch14_reg4_dinov2", "giant", 14, **{**_TIPS, "init_values": 1e-5, "reg_tokens": 4}, **_SWIGLU
        ),
        *_named("vit_{}_patch14_reg1_tipsv2", "base large", 14, **_TIPS),
        *_named("vit_{}_patch14_reg1_tipsv2", "so400m", 14, **_TIPS, mlp_ratio=4304 / 1152),
        *_named("vit_{}_patch14_reg1_tipsv2", "giant", 14, **_TIPS, **_SWIGLU),
        *_named("vit_{}_patch16_clip_224", "medium xsmall", 16, **_CLIP),
        *_named("vit_{}_patch14_clip_378", "huge gigantic", 14, **_CLIP),
        *_named("vit_{}_patch14_clip_quickgelu_378", "huge", 14, **_QUICK),
        *_named("vit_{}_patch16_plus_clip_240", "base", 16, **_PLUS, **_CLIP),
        *_named("vit_{}_patch16_plus_240", "base", 16, **_PLUS, init_values=1e-5),
        *_named("vit_{}_patch32_plus_256", "base", 32, **_PLUS, init_values=1e-5),
        *_named("vit_{}_patch16_36x1_224", "small", 16, depth=36, init_values=1e-5),
        *_named("vit_{}_patch16_reg1_gap_256", "wee little medium betwixt", 16, reg_tokens=1, **_REGISTERS),
        *_named("vit_{}_patch16_reg4_gap_256", "little medium mediumd betwixt", 16, reg_tokens=4, **_REGISTERS),
        *_named("vit_{}_patch16_reg4_gap_384", "mediumd betwixt", 16, reg_tokens=4, **_REGISTERS),
        *_named("vit_{}_patch16_reg4_gap_256", "base", 16, reg_tokens=4, **{**_REGISTERS, "init_values": None}),
        *_named("vit_{}_patch16_gap_240 vit_{}_patch16_gap_256 vit_{}_patch16_gap_384", "medium", 16, **_MEDIUM_GAP),
        *_named("vit_{}_patch16_gap_256", "betwixt", 16, **_MEDIUM_GAP),
        *_named("vit_{}_patch16_gap_224", "base", 16, **_GAP, num_heads=16),
        *_named("vit_{}_patch16_gap_224", "giant", 16, **_GAP),
        *_named("vit_{}_patch14_gap_224", "huge", 14, **_GAP),
        *_named("vit_{}_patch16_gap_448", "huge", 16, **_GAP),
        *_named("eva_{}_patch14_196 eva_{}_patch14_336", "large", 14, global_pool="avg"),
        *_named("vit_{}_patch16_reg4_gap_256 vit_{}_patch16_reg4_gap_384", "so150m", 16, **{**_GAP, **_SO150M}),
        *_named("vit_{}_patch16_reg4_map_256", "so150m", 16, **{**_MAP, **_SO150M}),
        *_named(
            "vit_{}_patch16_reg1_gap_256 vit_{}_patch16_reg1_gap_384 vit_{}_patch16_reg1_gap_448",
            "so150m2",
            16,
            **_SO150M2,
        ),
        *_siglip("base", 16, "224 256 384 512"),
        *_siglip("base", 32, "256", **_TANH),
        *_siglip("large", 16, "256 384"),
        *_siglip("large", 16, "512", **_TANH),
        *_siglip("so400m", 14, "224 378 384"),
        *_named("vit_{}_patch14_siglip_gap_448 vit_{}_patch14_siglip_gap_896", "so400m", 14, **_GAP),
        *_siglip("so400m", 16, "256 384 512", **_TANH),
        *_siglip("giantopt", 16, "256 384", **_TANH),
        ("test_vit", {"patch_size": 16, "embed_dim": 64, "depth": 6, "num_heads": 2, "mlp_ratio": 3.0}),
        ("test_vit2", {"patch_size": 16, **_TEST, "global_pool": "avg", "init_values": 1e-5}),
        (
            "test_vit3",
            {
                "patch_size": 16,
                **_TEST,
                "embed_dim": 96,
                "depth": 9,
                "num_heads": 3,
                "mlp_ratio": 2.0,
                "global_pool": "map",
                "pool_include_prefix": True,
                "init_values": 1e-5,
            },
        ),
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
"""The architectures with a ResNet before the patches."""
