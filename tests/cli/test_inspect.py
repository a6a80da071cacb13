"""`keras-tx inspect`: it says what `from_pretrained` would do, and takes no memory."""

import json
import math
import re
import resource
import shutil
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from contract import CLASSES
from helpers import tiny_for
from program import DAMAGES, change, configure, run, wrong_shape
from safetensors.numpy import load_file, save_file

from keras_tx.cli.inspect import examine
from keras_tx.convert import CheckpointDirectory, over_layers
from keras_tx.models import GPTModel, load_pretrained
from keras_tx.models.core.registry import MODELS


def inspected(capfd, *arguments) -> tuple[int, dict]:
    """The exit code, and the report."""
    capfd.readouterr()
    code = run("inspect", *arguments, "--json")
    return code, json.loads(capfd.readouterr().out)


def would_load(directory: Path) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            load_pretrained(directory)
    except (ValueError, FileNotFoundError):
        return False
    return True


# === What a checkpoint holds ===


def test_for_machines(checkpoint, capfd):
    code, report = inspected(capfd, checkpoint)
    assert code == 0 and report["loads"] is True
    assert report["class"] == "GPTModel" and report["model_type"] == "gpt2"
    assert report["parameters"] == 10_185 and report["bytes"] == 4 * 10_185
    assert report["files"] == {"model.safetensors": (checkpoint / "model.safetensors").stat().st_size}
    assert report["dtypes"] == {"float32": 4 + 3 * 12}
    assert report["config"] == load_pretrained(checkpoint).config.to_dict()
    assert not any(report[what] for what in ("missing", "wrong", "left_over", "fresh", "left_out"))
    assert "tensors" not in report


def test_for_people(checkpoint, capfd):
    assert run("inspect", checkpoint) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == str(checkpoint) and lines[-1] == "It would load."
    assert "  tensors: 40 float32; 40,740 bytes" in lines
    assert "GPTModel of gpt2, 10,185 parameters" in lines and "  num_layers = 3" in lines


def test_every_tensor_and_what_it_fills(checkpoint, capfd):
    change(checkpoint, {"lm_head.weight": None, "transformer.h.0.attn.bias": np.ones((1, 1, 2, 2), "bool")})
    _, report = inspected(capfd, checkpoint, "--tensors")
    fills = {entry["name"]: entry for entry in report["tensors"]}
    assert fills["transformer.h.1.attn.c_attn.weight"] == {
        "name": "transformer.h.1.attn.c_attn.weight",
        "shape": [15, 45],
        "dtype": "float32",
        "fills": [f"backbone/block_1/attention/{part}/kernel" for part in ("query", "key", "value")],
    }
    assert fills["transformer.h.0.attn.bias"]["fills"] == []
    filled = [path for entry in report["tensors"] for path in entry["fills"]]
    assert sorted(filled) == sorted(load_pretrained(checkpoint).weights_by_path())
    assert run("inspect", checkpoint, "--tensors") == 0
    out = capfd.readouterr().out
    assert "transformer.wpe.weight (37, 15) float32 -> backbone/position_embedding/embeddings" in out
    assert "transformer.h.0.attn.bias (1, 1, 2, 2) bool -> nothing" in out


@pytest.mark.parametrize("format", [pytest.param("keras_tx", marks=pytest.mark.slow), "huggingface"])
@pytest.mark.parametrize("name", CLASSES)
def test_every_class(name, format, tmp_path, capfd):
    entry = MODELS[name]
    if format != "keras_tx" and format not in entry.cls.formats:
        pytest.skip(f"{name} has no such format")
    model = entry.cls(tiny_for(entry, format))
    model.save_pretrained(tmp_path, format=format)
    code, report = inspected(capfd, tmp_path)
    assert (code, report["class"], report["parameters"]) == (0, name, model.count_params())


def test_over_layers():
    names = [f"h.{i}.{part}" for i in (0, 1, 2, 5, 11, 12) for part in ("ln_1.bias", "ln_2.bias")]
    assert over_layers(["wte.weight", *names, "block_3/up/kernel"]) == [
        "wte.weight",
        "h.{0..2,5,11..12}.ln_1.bias",
        "h.{0..2,5,11..12}.ln_2.bias",
        "block_3/up/kernel",
    ]


# === What would not load ===


def test_problems_are_told_by_name_over_layers(checkpoint, capfd):
    configure(checkpoint, n_layer=5)
    change(checkpoint, {"extra.weight": np.zeros((2,), "float32"), "score.weight": np.zeros((2, 15), "float32")})
    wrong_shape(checkpoint)
    assert run("inspect", checkpoint) == 1
    lines = capfd.readouterr().out.splitlines()
    assert "missing: transformer.h.{3..4}.attn.c_attn.weight" in lines
    assert "wrong: transformer.h.1.attn.c_attn.weight has shape (15, 44); the config asks for (15, 45)" in lines
    assert "left over: extra.weight" in lines and "left out: score.weight" in lines
    assert lines[-1] == "It would not load."
    code, report = inspected(capfd, checkpoint)
    assert code == 1 and report["loads"] is False
    assert len(report["missing"]) == 24 and report["left_over"] == ["extra.weight"]


def test_fresh_heads_are_no_problem(checkpoint, capfd):
    configure(checkpoint, architectures=["GPT2ForTokenClassification"])
    code, report = inspected(capfd, checkpoint)
    assert code == 0 and report["class"] == "GPTForTokenClassification"
    assert report["fresh"] == ["classifier.weight", "classifier.bias"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_checkpoints(checkpoint, capfd, damage):
    """What can be told is told; the exit code and `from_pretrained` agree."""
    act, words = DAMAGES[damage]
    act(checkpoint)
    assert not would_load(checkpoint)
    capfd.readouterr()
    assert run("inspect", checkpoint) == 1
    out, error = capfd.readouterr()
    lines = (out or error).splitlines()
    assert any(re.search(words, line) for line in lines) and not (out and error)
    assert len(lines) == 1 or lines[-1] == "It would not load."


def test_the_hub(fails, hub, capfd):
    assert inspected(capfd, hub, "--revision", "old")[1]["parameters"] == 10_185
    assert "some/gpt is neither in the cache nor within reach" in fails("inspect", hub)


# === One verdict ===

GOLDEN = Path(__file__).parents[1] / "golden"
CHECKPOINTS = sorted(
    path.parent.relative_to(GOLDEN)
    for weights in ("model.safetensors", "tf_model.h5")
    for path in GOLDEN.rglob(weights)
    if (path.parent / "config.json").exists() and not path.parent.name.endswith("_Dense")  # a part of a checkpoint
)


@pytest.mark.parametrize("checkpoint", CHECKPOINTS, ids=str)
def test_golden_checkpoints(checkpoint):
    assert examine(CheckpointDirectory(GOLDEN / checkpoint))["loads"] is would_load(GOLDEN / checkpoint) is True


def test_there_are_golden_checkpoints():
    assert len(CHECKPOINTS) > 50
    assert {path.parts[0] for path in CHECKPOINTS} >= {"bert", "gpt", "llama", "t5", "vit", "swin", "h5"}


def old_layout(path: Path) -> None:
    """A Swin whose tensors have the authors' names, as old timm wrote them."""
    shutil.copytree(GOLDEN / "swin" / "timm_swin", path)
    tensors = load_file(path / "model.safetensors")
    moved = {}
    for name, x in tensors.items():
        name = re.sub(r"^head\.fc\.", "head.", name)
        moved[re.sub(r"(?<=^layers\.)\d(?=\.downsample)", lambda number: str(int(number[0]) - 1), name)] = x
    assert moved.keys() != tensors.keys()
    save_file(moved, path / "model.safetensors")


def under_a_prefix(path: Path) -> None:
    """A T5 that was part of another class."""
    shutil.copytree(GOLDEN / "t5" / "first", path)
    tensors = load_file(path / "model.safetensors")
    save_file({f"transformer.{name}": x for name, x in tensors.items()}, path / "model.safetensors")


def a_class_alone(path: Path) -> None:
    shutil.copytree(GOLDEN / "bert" / "sequence", path)
    config = json.loads((path / "config.json").read_text())
    del config["model_type"]
    (path / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("make", [old_layout, under_a_prefix, a_class_alone])
def test_tensors_under_other_names(make, tmp_path, capfd):
    make(tmp_path / "x")
    code, report = inspected(capfd, tmp_path / "x")
    assert (code, report["missing"], report["left_over"], report["fresh"]) == (0, [], [], [])
    assert would_load(tmp_path / "x")


@pytest.mark.parametrize("make", [old_layout, under_a_prefix])
def test_a_tensor_less(make, tmp_path, capfd):
    make(tmp_path / "x")
    file = tmp_path / "x" / "model.safetensors"
    tensors = load_file(file)
    del tensors[next(name for name in tensors if "norm" in name)]
    save_file(tensors, file)
    code, report = inspected(capfd, tmp_path / "x")
    assert code == 1 and len(report["missing"]) == 1
    assert not would_load(tmp_path / "x")


def test_a_checkpoint_of_a_newer_version(tmp_path, capfd):
    GPTModel(vocab_size=61, num_layers=1, num_heads=1, d_model=16).save_pretrained(tmp_path)
    (tmp_path / "SHA256SUMS").unlink()
    configure(tmp_path, keras_tx="99.0")
    code, report = inspected(capfd, tmp_path)
    assert code == 1 and "written by keras_tx 99.0" in report["error"]
    assert not would_load(tmp_path)


# === Memory ===


def huge(directory: Path) -> int:
    """Makes a checkpoint's files with the tensors of a 100 GB GPT, but for one; gives its parameters."""
    width, layers = 16384, 8
    configure(directory, n_embd=width, n_layer=layers, n_head=128, architectures=["GPT2LMHeadModel"])
    shapes = {
        "wte.weight": [61, width],
        "wpe.weight": [37, width],
        "ln_f.weight": [width],
        "ln_f.bias": [width],
    }
    for i in range(layers):
        for name, shape in {
            "attn.c_attn": [width, 3 * width],
            "attn.c_proj": [width, width],
            "mlp.c_fc": [width, 4 * width],
            "mlp.c_proj": [4 * width, width],
        }.items():
            shapes |= {f"h.{i}.{name}.weight": shape, f"h.{i}.{name}.bias": shape[1:]}
        shapes |= {f"h.{i}.{norm}.{part}": [width] for norm in ("ln_1", "ln_2") for part in ("weight", "bias")}
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * math.prod(shape)
        header[f"transformer.{name}"] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with (directory / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)  # a hole, which takes no disk
    return end // 4


def test_a_hundred_gigabytes_take_no_memory(checkpoint, capfd):
    parameters = huge(checkpoint)
    assert 4 * parameters > 100e9
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code, report = inspected(capfd, checkpoint)
    assert (code, report["parameters"], report["bytes"]) == (0, parameters, 4 * parameters)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000  # KiB
