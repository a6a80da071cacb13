"""Makes vit/: small random Vision Transformers of Transformers 4.57.1 and timm 1.0.31, and what these compute.

`uneven` is of Transformers 5.23.

    python tests/golden/make_vit.py [DIRECTORY]

A model's directory holds what the peer saves, and `expected.npz`: the inputs (`given/NAME`, images as `(B, H, W, C)`)
and the outputs (`NAME`). Of timm's models also `other`, logits of images of another size (`given/other`), and
`adapted`, those of a model with other patches, channels and size (`override/FIELD`) of `given/adapted`. Needs torch,
transformers and timm. `make_vit_h5.py` makes those of the TensorFlow classes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import timm
import torch
import transformers
from timm.layers import resample_abs_pos_embed, resample_patch_embed
from timm.models import adapt_input_conv, save_for_hf

BATCH = 3
RETURNED = ("logits", "pooler_output", "reconstruction", "loss", "mask", "ids_restore")

VIT = {
    "hidden_size": 15,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 29,
    "image_size": (9, 14),
    "patch_size": (3, 2),
    "num_channels": 5,
    "num_labels": 7,
    "attn_implementation": "eager",
}
SQUARE = {**VIT, "image_size": 12, "patch_size": 3, "encoder_stride": 3}
MAE = {
    **SQUARE,
    "hidden_size": 20,
    "num_attention_heads": 5,
    "decoder_num_attention_heads": 3,
    "decoder_hidden_size": 12,
    "decoder_num_hidden_layers": 2,
    "decoder_intermediate_size": 17,
    "mask_ratio": 0.7,
}
TRANSFORMERS = {
    "classifier": ("ViT", "ViTForImageClassification", {**VIT, "hidden_act": "gelu_new", "qkv_bias": False}),
    "model": ("ViT", "ViTModel", {**VIT, "layer_norm_eps": 1e-3, "pooler_output_size": 11}),
    "masked": ("ViT", "ViTForMaskedImageModeling", SQUARE),
    "mae": ("ViTMAE", "ViTMAEForPreTraining", MAE),
    "mae_normalized": ("ViTMAE", "ViTMAEForPreTraining", {**MAE, "norm_pix_loss": True}),
    "deit": ("DeiT", "DeiTForImageClassification", VIT),
    "deit_teacher": ("DeiT", "DeiTForImageClassificationWithTeacher", VIT),
    "deit_model": ("DeiT", "DeiTModel", VIT),
    "uneven": ("ViT", "ViTForImageClassification", {**VIT, "image_size": (11, 15)}),
}

SIZES = {
    "img_size": (9, 14),
    "patch_size": (3, 2),
    "embed_dim": 15,
    "depth": 2,
    "num_heads": 3,
    "mlp_ratio": 29.01 / 15,
    "in_chans": 3,
    "num_classes": 7,
}
REGISTERS = {"reg_tokens": 4, "class_token": False, "global_pool": "avg", "init_values": 0.3}
TIMM = {
    "timm": ("vit_base_patch16_224", SIZES),
    "timm_clip": ("vit_base_patch16_clip_quickgelu_224", {**SIZES, "qkv_bias": False}),
    "timm_registers": ("vit_medium_patch16_reg4_gap_256", {**SIZES, **REGISTERS, "qk_norm": True, "fc_norm": True}),
    "timm_deit3": ("deit3_small_patch16_224", {**SIZES, "init_values": 0.3, "act_layer": "silu"}),
    "timm_distilled": ("deit_tiny_distilled_patch16_224", SIZES),
    "timm_uneven": ("vit_base_patch16_224", {**SIZES, "img_size": (11, 15)}),
}
OVERRIDE = {"image_size": (20, 18), "patch_size": (4, 3), "channels": 5}


def randomize(model: torch.nn.Module) -> torch.nn.Module:
    """Gives every weight numbers that leave their mark on the outputs."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.randn_like(parameter) * (0.5 if parameter.ndim > 1 else 0.1))
            if "norm" in name and name.endswith("weight"):
                parameter += 1.0
    return model.eval()


def draw(channels: int, size) -> torch.Tensor:
    return torch.randn(BATCH, channels, *(size if isinstance(size, tuple) else (size, size)))


def nhwc(images: torch.Tensor) -> np.ndarray:
    return images.permute(0, 2, 3, 1).numpy()


def make_transformers(directory: Path, family: str, name: str, fields: dict) -> None:
    config = getattr(transformers, f"{family}Config")(**fields)
    model = randomize(getattr(transformers, name)(config))
    model.save_pretrained(directory)
    images, count = (
        draw(config.num_channels, config.image_size),
        model.base_model.embeddings.patch_embeddings.num_patches,
    )
    given = {}
    if "Masked" in name:
        given["bool_masked_pos"] = torch.rand(BATCH, count) < 0.5
    if "MAE" in name:
        given["noise"] = torch.rand(BATCH, count)
    outputs = dict(model(images, **given, output_attentions=True, output_hidden_states=True))
    layers = {key: outputs.pop(key) for key in ("hidden_states", "attentions")}
    expected = {key: x for key, x in outputs.items() if key in RETURNED}
    for key, tensors in layers.items():
        # This version gives the last of the hidden states normalized, unlike any other.
        last = len(tensors) - (key == "hidden_states")
        expected |= {f"{key}/{i}": x for i, x in enumerate(tensors[:last])}
    if "reconstruction" in expected:
        expected["reconstruction"] = expected["reconstruction"].permute(0, 2, 3, 1)
    arrays = {key: x.numpy() for key, x in expected.items()}
    arrays |= {"given/images": nhwc(images)} | {f"given/{key}": x.numpy() for key, x in given.items()}
    np.savez_compressed(directory / "expected.npz", **arrays)


def make_timm(directory: Path, name: str, arguments: dict) -> None:
    model = randomize(timm.create_model(name, **arguments))
    save_for_hf(model, directory, safe_serialization=True)
    images, other = draw(arguments["in_chans"], arguments["img_size"]), draw(arguments["in_chans"], (15, 8))
    dynamic = timm.create_model(name, **arguments, dynamic_img_size=True).eval()
    dynamic.load_state_dict(model.state_dict())
    adapted, altered = adapt(model, name, arguments), draw(OVERRIDE["channels"], OVERRIDE["image_size"])
    arrays = {
        "logits": model(images),
        "features": model.forward_head(model.forward_features(images), pre_logits=True),
        "other": dynamic(other),
        "adapted": adapted(altered),
    }
    arrays = {key: x.numpy() for key, x in arrays.items()}
    arrays |= {f"given/{key}": nhwc(x) for key, x in (("images", images), ("other", other), ("adapted", altered))}
    np.savez_compressed(directory / "expected.npz", **arrays, **{f"override/{key}": x for key, x in OVERRIDE.items()})


def adapt(model: torch.nn.Module, name: str, arguments: dict) -> torch.nn.Module:
    """The model for images and patches of another size, and other channels, by timm's own functions."""
    size, patch, channels = OVERRIDE["image_size"], OVERRIDE["patch_size"], OVERRIDE["channels"]
    other = timm.create_model(name, **{**arguments, "img_size": size, "patch_size": patch, "in_chans": channels})
    weights = dict(model.state_dict())
    kernel = resample_patch_embed(weights["patch_embed.proj.weight"], patch)
    weights["patch_embed.proj.weight"] = adapt_input_conv(channels, kernel)
    prefix = 0 if model.no_embed_class else model.num_prefix_tokens
    grids = other.patch_embed.grid_size, model.patch_embed.grid_size
    weights["pos_embed"] = resample_abs_pos_embed(weights["pos_embed"], *map(list, grids), prefix)
    other.load_state_dict(weights)
    return other.eval()


def make_paper(directory: Path, rng: np.random.Generator) -> None:
    """A file named as the authors' are, and what timm computes with it."""
    width, heads, inner, patch, side, layers, classes = 15, 3, 29, 4, 3, 2, 7

    def draw_weight(*shape: int) -> np.ndarray:
        return (0.4 * rng.normal(size=shape)).astype("float32")

    def linear(name: str, inputs: tuple, outputs: tuple) -> dict[str, np.ndarray]:
        return {f"{name}/kernel": draw_weight(*inputs, *outputs), f"{name}/bias": draw_weight(*outputs)}

    def norm(name: str) -> dict[str, np.ndarray]:
        return {f"{name}/scale": 1 + draw_weight(width), f"{name}/bias": draw_weight(width)}

    arrays = {
        "cls": draw_weight(1, 1, width),
        "Transformer/posembed_input/pos_embedding": draw_weight(1, 1 + side * side, width),
        **linear("embedding", (patch, patch, 3), (width,)),
        **norm("Transformer/encoder_norm"),
        **linear("head", (width,), (classes,)),
    }
    for i in range(layers):
        block, by_head = f"Transformer/encoderblock_{i}", (heads, width // heads)
        arrays |= norm(f"{block}/LayerNorm_0") | norm(f"{block}/LayerNorm_2")
        for part in ("query", "key", "value"):
            arrays |= linear(f"{block}/MultiHeadDotProductAttention_1/{part}", (width,), by_head)
        arrays |= linear(f"{block}/MultiHeadDotProductAttention_1/out", by_head, (width,))
        arrays |= linear(f"{block}/MlpBlock_3/Dense_0", (width,), (inner,))
        arrays |= linear(f"{block}/MlpBlock_3/Dense_1", (inner,), (width,))
    directory.mkdir(parents=True, exist_ok=True)
    np.savez(directory / "paper.npz", **arrays)
    sizes = {"img_size": patch * side, "patch_size": patch, "in_chans": 3}
    model = timm.create_model("vit_base_patch16_224", **{**SIZES, **sizes}).eval()
    model.load_pretrained(directory / "paper.npz")
    images = draw(3, patch * side)
    np.savez_compressed(directory / "expected.npz", logits=model(images).numpy(), **{"given/images": nhwc(images)})


def main(directory: Path) -> None:
    torch.set_grad_enabled(False)
    for seed, (case, (family, name, fields)) in enumerate(TRANSFORMERS.items()):
        torch.manual_seed(seed)
        make_transformers(directory / case, family, name, fields)
    for seed, (case, (name, arguments)) in enumerate(TIMM.items()):
        torch.manual_seed(seed)
        make_timm(directory / case, name, arguments)
    make_paper(directory / "paper", np.random.default_rng(0))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("vit"))
