"""The ResNet before a hybrid Vision Transformer's patches, as timm and as the paper's authors keep it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from keras_tx.convert.table import Rule, convolution, norm, same
from keras_tx.layers.image.resnet_stem import WIDTH, resnet_width


class _Conv(NamedTuple):
    """A convolution and the norm after it: where they stand, and the kernel's sizes."""

    stage: int
    block: int
    number: int | None
    """1 to 3 of the block's convolutions; None for its shortcut's."""
    size: int
    channels: int
    filters: int


def timm(blocks: Sequence[int]) -> list[Rule]:
    """The rules of timm's `ResNetV2` of these blocks; without any, timm keeps the first layers by themselves."""
    first = "stem." if blocks else ""
    rules = [
        *convolution(f"{first}conv", f"{WIDTH} C 7 7", "conv", use_bias=False),
        *norm(f"{first}norm", str(WIDTH), "norm"),
    ]
    for conv in _convolutions(blocks):
        peer, own = f"stages.{conv.stage}.blocks.{conv.block}.", _ours(conv)
        shape = f"{conv.filters} {conv.channels} {conv.size} {conv.size}"
        names = ("downsample.conv", "downsample.norm") if conv.number is None else _numbered(conv, "conv", "norm")
        rules += convolution(peer + names[0], shape, own[0], use_bias=False)
        rules += norm(peer + names[1], str(conv.filters), own[1])
    return rules


def npz(blocks: Sequence[int]) -> list[Rule]:
    """The rules of the authors' JAX modules of these blocks; their norms' scales and offsets have the images' rank."""
    rules = [same("conv_root/kernel", f"7 7 C {WIDTH}", "conv/kernel"), *_npz_norm("gn_root", WIDTH, "norm")]
    for conv in _convolutions(blocks):
        peer, own = f"block{conv.stage + 1}/unit{conv.block + 1}/", _ours(conv)
        shape = f"{conv.size} {conv.size} {conv.channels} {conv.filters}"
        names = ("conv_proj", "gn_proj") if conv.number is None else _numbered(conv, "conv", "gn")
        rules.append(same(f"{peer}{names[0]}/kernel", shape, f"{own[0]}/kernel"))
        rules += _npz_norm(peer + names[1], conv.filters, own[1])
    return rules


def _convolutions(blocks: Sequence[int]) -> Iterator[_Conv]:
    """Gives every convolution after the first."""
    before = WIDTH
    for stage, count in enumerate(blocks):
        after = resnet_width(blocks[: stage + 1])
        inner = after // 4
        for block in range(count):
            yield _Conv(stage, block, 1, 1, before, inner)
            yield _Conv(stage, block, 2, 3, inner, inner)
            yield _Conv(stage, block, 3, 1, inner, after)
            if not block:
                yield _Conv(stage, block, None, 1, before, after)
            before = after


def _ours(conv: _Conv) -> tuple[str, str]:
    names = ("shortcut_conv", "shortcut_norm") if conv.number is None else _numbered(conv, "conv", "norm")
    return f"stage_{conv.stage}_block_{conv.block}/{names[0]}", f"stage_{conv.stage}_block_{conv.block}/{names[1]}"


def _numbered(conv: _Conv, *names: str) -> tuple[str, ...]:
    return tuple(f"{name}{conv.number}" for name in names)


def _npz_norm(peer: str, width: int, own: str) -> list[Rule]:
    names = (("scale", "gamma"), ("bias", "beta"))
    shape = ("1", "1", "1", str(width))
    return [Rule(f"{peer}/{scale}", shape, (f"{own}/{gamma}",), flattened=True) for scale, gamma in names]
