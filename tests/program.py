"""The program `keras-tx`, run in this process, and what its tests do to files."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from keras_tx.cli import main

SMALL = ["--layers", "1", "--width", "16", "--heads", "2", "--block-size", "8", "--dropout", "0.1"]
SHORT = [*SMALL, "--steps", "40", "--epoch-steps", "10"]


def run(*arguments) -> int:
    """The exit code of `keras-tx` with these arguments, in this process."""
    before = sys.argv
    sys.argv = ["keras-tx", *map(str, arguments)]
    try:
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0
    finally:
        sys.argv = before


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


# === What can be wrong with a checkpoint ===


def configure(directory: Path, **entries) -> None:
    """Changes entries of the config; None takes one out."""
    config = json.loads((directory / "config.json").read_text()) | entries
    (directory / "config.json").write_text(json.dumps({key: x for key, x in config.items() if x is not None}))


def change(directory: Path, tensors: dict[str, np.ndarray | None]) -> None:
    """Replaces tensors of a checkpoint, or takes them out."""
    file = directory / "model.safetensors"
    arrays = load_file(file) | tensors
    save_file({name: array for name, array in arrays.items() if array is not None}, file)


def index(directory: Path, shard: str) -> None:
    """Says that all tensors lie in a file of that name, and moves them there."""
    file = directory / "model.safetensors"
    places = dict.fromkeys(load_file(file), shard)
    file.rename(directory / shard)
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))


def only_pickle(directory: Path) -> None:
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")


def truncated(directory: Path) -> None:
    file = directory / "model.safetensors"
    file.write_bytes(cut(file.read_bytes()))


def huge_header(directory: Path) -> None:
    (directory / "model.safetensors").write_bytes(struct.pack("<Q", 2**62) + b"{}")


def link_out(directory: Path) -> None:
    file = directory / "model.safetensors"
    file.rename(directory.parent / "elsewhere.safetensors")
    file.symlink_to(directory.parent / "elsewhere.safetensors")


def not_finite(directory: Path) -> None:
    change(directory, {"transformer.ln_f.bias": np.array([0.0] * 14 + [np.nan], "float32")})


def wrong_shape(directory: Path) -> None:
    change(directory, {"transformer.h.1.attn.c_attn.weight": np.zeros((15, 44), "float32")})


DAMAGES = {
    "no directory": (lambda path: path.rename(path.with_name("gone")), "there is no directory"),
    "only a pickle": (only_pickle, "only as pickle.* never read here. Convert them where you trust them"),
    "truncated": (truncated, "not a whole safetensors file"),
    "huge header": (huge_header, "not a whole safetensors file"),
    "a shard outside": (lambda path: index(path, "../shard.safetensors"), "leads out of its directory"),
    "a link outside": (link_out, "leads out of its directory"),
    "broken JSON": (lambda path: (path / "config.json").write_text("{"), "config.json is not a JSON file"),
    "no weights": (lambda path: (path / "model.safetensors").unlink(), "holds no model.safetensors"),
    "unknown model type": (
        lambda path: configure(path, model_type="mamba"),
        "`model_type` is 'mamba'; known are .*'gpt2', .*'openai-gpt'",
    ),
    "no model type": (
        lambda path: configure(path, model_type=None, architectures=None),
        "`model_type` is None; known are",
    ),
    "unknown activation": (
        lambda path: configure(path, activation_function="wave"),
        "`activation` must be one of .*; got 'wave'",
    ),
    "wrong shape": (wrong_shape, r"h.1.attn.c_attn.weight has shape \(15, 44\); the config asks for \(15, 45\)"),
    "missing": (
        lambda path: change(path, {"transformer.h.2.ln_1.bias": None}),
        "missing: transformer.h.2.ln_1.bias",
    ),
    "left over": (lambda path: change(path, {"extra": np.zeros(2, "float32")}), "left over: extra"),
}
"""What is done to a checkpoint, and what is said of it."""
