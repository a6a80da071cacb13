"""Makes swin/: small random Swin Transformers, and what Transformers 5.23 and timm 1.0.31 compute with them.

    python tests/golden/make_swin.py [DIRECTORY]

A model's directory holds what the peer saves, and `expected.npz`: the images it was given (`given/NAME`), as we take
them, and its outputs (`NAME`), every block's among them. Needs torch, transformers and timm.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import timm
import torch
import transformers

BATCH = 2
SWIN = {
    "image_size": [22, 26],  # maps of 11 x 13, 6 x 7 and 3 x 4
    "patch_size": 2,
    "num_channels": 3,
    "embed_dim": 6,
    "depths": [2, 1, 2],
    "num_heads": [1, 3, 2],
    "window_size": 3,
    "mlp_ratio": 1.5,
}
TRANSFORMERS = {
    "swin": (
        "SwinForImageClassification",
        {**SWIN, "num_labels": 5, "use_absolute_embeddings": True, "layer_norm_eps": 1e-3, "qkv_bias": False},
        (22, 26),
    ),
    "swin_model": ("SwinModel", {**SWIN, "image_size": 14, "window_size": 4, "hidden_act": "silu"}, (25, 33)),
    "swin_masked": (
        "SwinForMaskedImageModeling",
        {**SWIN, "image_size": 24, "depths": [2, 1, 1], "encoder_stride": 8},
        (24, 24),
    ),
    "swinv2": (
        "Swinv2ForImageClassification",
        {**SWIN, "window_size": 5, "pretrained_window_sizes": [3, 0, 2], "num_labels": 5},
        (22, 26),
    ),
    "swinv2_model": ("Swinv2Model", {**SWIN, "window_size": 4, "qkv_bias": False, "image_size": 14}, (19, 25)),
    "swinv2_masked": (
        "Swinv2ForMaskedImageModeling",
        {**SWIN, "image_size": 12, "depths": [2, 1], "num_heads": [3, 2], "encoder_stride": 4},
        (12, 12),
    ),
}
"""Classes, configs, and sizes of the images given."""

TIMM_SWIN = {
    "patch_size": 2,
    "embed_dim": 6,
    "depths": [2, 1, 2],
    "num_heads": [1, 3, 2],
    "mlp_ratio": 1.5,
    "num_classes": 5,
    "strict_img_size": False,
}
TIMM = {
    "timm_swin": (
        "swin_tiny_patch4_window7_224",
        {**TIMM_SWIN, "img_size": [22, 26], "window_size": [3, 7, [2, 6]], "qkv_bias": False},
        (22, 26),
    ),
    "timm_swin_larger": (
        "swin_base_patch4_window7_224",
        {**TIMM_SWIN, "img_size": [10, 12], "window_size": 4, "num_classes": 0},
        (22, 18),
    ),
    "timm_swinv2": (
        "swinv2_tiny_window8_256",
        {**TIMM_SWIN, "img_size": [22, 26], "window_size": 5, "pretrained_window_sizes": [3, 0, 2]},
        (22, 26),
    ),
}
"""Architectures, their arguments, and sizes of the images given."""


def randomize(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    """With weights, biases too, that all leave their mark on the outputs."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for path, weight in model.named_parameters():
            weight.normal_(0.0, 0.3 if weight.ndim > 1 else 0.1)
            if "norm" in path and path.endswith("weight"):
                weight += 1.0
            if path.endswith("logit_scale"):
                weight += 1.0
            if ("mlp." in path and "position_bias" in path) or "cpb_mlp" in path:  # 512 of them are summed
                weight *= 0.2
    return model.eval()


def make_transformers(name: str, fields: dict, seed: int) -> torch.nn.Module:
    cls = getattr(transformers, name)
    return randomize(cls(cls.config_class(**fields, attn_implementation="eager")), seed)


def make_timm(architecture: str, arguments: dict, seed: int) -> torch.nn.Module:
    return randomize(timm.create_model(architecture, **arguments), seed)


# === What a model computes ===


def run(model: torch.nn.Module, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All outputs, as we give them: maps `(B, h, w, C)`, of the patches and of each block."""
    is_timm = hasattr(model, "patch_embed")
    encoder = model if is_timm else getattr(model, model.base_model_prefix, model)
    stages = [list(layer.blocks) for layer in (encoder.layers if is_timm else encoder.encoder.layers)]
    blocks = [block for stage in stages for block in stage]
    states: list[torch.Tensor] = []
    maps: list[torch.Tensor] = []

    def keep(module, arguments, output) -> None:
        output, *rest = output if isinstance(output, tuple) else (output,)
        states.append(output)
        maps.extend(x for x in rest[:1] if torch.is_tensor(x) and not is_timm)

    hooked = [encoder.patch_embed if is_timm else encoder.embeddings, *blocks]
    handles = [module.register_forward_hook(keep) for module in hooked]
    if is_timm:
        for block in blocks:
            block.attn.fused_attn = False
            handles.append(block.attn.softmax.register_forward_hook(lambda *x: maps.append(x[-1])))
    with torch.no_grad():
        outputs = call_timm(model, given) if is_timm else call_transformers(model, given)
    for handle in handles:
        handle.remove()
    size = [-(-length // 2) for length in given["images"].shape[1:3]]  # of patches of two pixels
    sizes = [[-(-length // 2**stage) for length in size] for stage in range(len(stages))]
    shapes = [size, *(sizes[stage] for stage, part in enumerate(stages) for _ in part)]
    found = [x.reshape(BATCH, *shape, -1) for x, shape in zip(states, shapes, strict=True)]
    last = np.cumsum([len(part) for part in stages])
    outputs |= {f"hidden_states/{i}": x for i, x in enumerate(found)}
    outputs |= {f"feature_maps/{i}": found[end] for i, end in enumerate(last)}
    outputs |= {f"attentions/{i}": x for i, x in enumerate(maps)}
    return {name: x.numpy() for name, x in outputs.items()}


def call_transformers(model: torch.nn.Module, given: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    others = {name: torch.from_numpy(x) for name, x in given.items() if name != "images"}
    outputs = model(torch.from_numpy(np.moveaxis(given["images"], -1, 1).copy()), **others, output_attentions=True)
    if "reconstruction" in outputs:
        return {"logits": outputs.reconstruction.permute(0, 2, 3, 1), "loss": outputs.loss}
    return {"logits": outputs.logits if "logits" in outputs else outputs.pooler_output}


def call_timm(model: torch.nn.Module, given: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {"logits": model(torch.from_numpy(np.moveaxis(given["images"], -1, 1).copy()))}


def make_images(size: tuple[int, int], rng: np.random.Generator, masked: bool = False) -> dict[str, np.ndarray]:
    given = {"images": rng.normal(size=(BATCH, *size, 3)).astype("float32")}
    if masked:
        given["bool_masked_pos"] = rng.random((BATCH, size[0] // 2 * (size[1] // 2))) < 0.5
    return given


def main(directory: Path) -> None:
    for seed, (case, (name, fields, size)) in enumerate((TRANSFORMERS | TIMM).items()):
        given = make_images(size, np.random.default_rng(seed), "Masked" in name)
        if case in TIMM:
            model = make_timm(name, fields, seed)
            timm.models.save_for_hf(model, directory / case, model_args=fields, safe_serialization=True)
        else:
            model = make_transformers(name, fields, seed)
            model.save_pretrained(directory / case)
        expected = run(model, given) | {f"given/{name}": x for name, x in given.items()}
        np.savez_compressed(directory / case / "expected.npz", **expected)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("swin"))
