"""Makes hybrid/: small hybrids of timm 1.0.31, a ResNet's first stages before a Vision Transformer.

    python tests/golden/make_hybrid.py [DIRECTORY]

`stem/` is without a stage: what timm saves, and `expected.npz`, with `adapted`, logits of images of 5 channels. The
others have too many weights to be kept: `shapes.json` has their names and shapes, `drawn.py` the numbers. `stages/`
is named as timm names them, `paper/` as the authors' `.npz` are. Needs torch and timm.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import timm
import torch
from drawn import draw_by_name
from make_vit import SIZES, draw, nhwc, randomize
from timm.models import adapt_input_conv, save_for_hf

STAGES = "vit_small_r26_s32_224"
BLOCKS = (2, 2, 2, 2)


def save(directory: Path, given: dict[str, torch.Tensor], outputs: dict[str, torch.Tensor]) -> None:
    arrays = {key: x.numpy() for key, x in outputs.items()} | {f"given/{key}": nhwc(x) for key, x in given.items()}
    directory.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(directory / "expected.npz", **arrays)


def save_shapes(directory: Path, arrays: dict) -> None:
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(list(x.shape))}" for name, x in arrays.items())
    (directory / "shapes.json").write_text(f"{{\n{lines}\n}}\n")


def make_stem(directory: Path) -> None:
    name, size = "vit_tiny_r_s16_p8_224", (24, 32)
    arguments = {**SIZES, "img_size": size, "patch_size": (3, 2)}
    model = randomize(timm.create_model(name, **arguments))
    save_for_hf(model, directory, safe_serialization=True)
    weights = dict(model.state_dict())
    weights["patch_embed.backbone.conv.weight"] = adapt_input_conv(5, weights["patch_embed.backbone.conv.weight"])
    other = timm.create_model(name, **{**arguments, "in_chans": 5}).eval()
    other.load_state_dict(weights)
    given = {"images": draw(3, size), "adapted": draw(5, size)}
    save(directory, given, {"logits": model(given["images"]), "adapted": other(given["adapted"])})


def make_stages(directory: Path) -> None:
    size = (64, 96)
    model = timm.create_model(STAGES, **{**SIZES, "img_size": size, "patch_size": (1, 3)}).eval()
    weights = {name: torch.from_numpy(draw_by_name(name, tuple(x.shape))) for name, x in model.state_dict().items()}
    model.load_state_dict(weights)
    save_for_hf(model, directory, safe_serialization=True)
    (directory / "model.safetensors").unlink()
    save_shapes(directory, weights)
    given = {"images": draw(3, size)}
    save(directory, given, {"map": nhwc_map(model, given["images"]), "logits": model(given["images"])})


def nhwc_map(model: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    return model.patch_embed.backbone(images).permute(0, 2, 3, 1)


def make_paper(directory: Path) -> None:
    """Named by hand, read by timm."""
    width, heads, inner, side, layers, classes = 15, 3, 29, 2, 1, 7
    shapes: dict[str, tuple[int, ...]] = {}

    def norm(name: str, *shape: int) -> None:
        shapes[f"{name}/scale"] = shapes[f"{name}/bias"] = shape

    def linear(name: str, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> None:
        shapes[f"{name}/kernel"], shapes[f"{name}/bias"] = (*inputs, *outputs), outputs

    shapes["conv_root/kernel"] = (7, 7, 3, 64)
    norm("gn_root", 1, 1, 1, 64)
    before = 64
    for stage, count in enumerate(BLOCKS, 1):
        after = 128 * 2**stage
        for unit in range(1, count + 1):
            path = f"block{stage}/unit{unit}"
            for i, kernel in enumerate(
                ((1, before, after // 4), (3, after // 4, after // 4), (1, after // 4, after)), 1
            ):
                length, *channels = kernel
                shapes[f"{path}/conv{i}/kernel"] = (length, length, *channels)
                norm(f"{path}/gn{i}", 1, 1, 1, channels[-1])
            if unit == 1:
                shapes[f"{path}/conv_proj/kernel"] = (1, 1, before, after)
                norm(f"{path}/gn_proj", 1, 1, 1, after)
            before = after
    shapes |= {"cls": (1, 1, width), "Transformer/posembed_input/pos_embedding": (1, 1 + side * side, width)}
    linear("embedding", (1, 1, before), (width,))
    for i in range(layers):
        block, by_head = f"Transformer/encoderblock_{i}", (heads, width // heads)
        norm(f"{block}/LayerNorm_0", width)
        norm(f"{block}/LayerNorm_2", width)
        for part in ("query", "key", "value"):
            linear(f"{block}/MultiHeadDotProductAttention_1/{part}", (width,), by_head)
        linear(f"{block}/MultiHeadDotProductAttention_1/out", by_head, (width,))
        linear(f"{block}/MlpBlock_3/Dense_0", (width,), (inner,))
        linear(f"{block}/MlpBlock_3/Dense_1", (inner,), (width,))
    norm("Transformer/encoder_norm", width)
    linear("head", (width,), (classes,))

    arrays = {name: draw_by_name(name, shape) for name, shape in shapes.items()}
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "paper.npz"
    np.savez(file, **arrays)
    sizes = {**SIZES, "img_size": 32 * side, "patch_size": 1, "depth": layers}
    model = timm.create_model(STAGES, **sizes).eval()
    model.load_pretrained(file)
    file.unlink()
    save_shapes(directory, arrays)
    given = {"images": draw(3, 32 * side)}
    save(directory, given, {"map": nhwc_map(model, given["images"]), "logits": model(given["images"])})


def main(directory: Path) -> None:
    torch.set_grad_enabled(False)
    torch.manual_seed(0)
    make_stem(directory / "stem")
    make_stages(directory / "stages")
    make_paper(directory / "paper")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("hybrid"))
