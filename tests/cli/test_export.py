"""`keras-tx export`: a run or a checkpoint as LiteRT or ONNX, or nothing and one line that says why."""

import re

import keras
import pytest
from program import change, files, run

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="exports are made on TensorFlow, in a process of their own"
)
FORMATS = {"litert": "model.tflite", "onnx": "model.onnx"}


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
def test_a_run(trained, tmp_path, capfd, format):
    path = tmp_path / "out" / FORMATS[format]
    assert run("export", trained, "--format", format, "--output", path) == 0
    out = capfd.readouterr().out
    size = path.stat().st_size
    assert re.search(r"GPTModel, [\d,]+ parameters, [\d,]+ bytes in float32", out) and f"{path}: {size:,} bytes" in out
    assert "numbers differ from the model's by at most" in out
    assert "tokens: 100% of those generated are the model's likeliest" in out
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.slow
def test_a_checkpoint_in_eight_bits(checkpoint, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["--format", "litert", "--quantize", "dynamic_int8", "--tolerance", 1]
    assert run("export", checkpoint, *options) == 0
    path = tmp_path / "saved_models" / "checkpoint" / "model.tflite"
    out = capfd.readouterr().out
    assert "GPTModel, 10,185 parameters, 40,740 bytes in float32" in out
    assert f"saved_models/checkpoint/model.tflite: {path.stat().st_size:,} bytes" in out


def test_what_was_there_stays(fails, checkpoint, tmp_path):
    path = tmp_path / "model.onnx"
    assert run("export", checkpoint, "--format", "onnx", "--output", path) == 0
    before = path.read_bytes()
    line = fails("export", checkpoint, "--format", "onnx", "--output", path, "--tolerance", 0)
    assert "the artifact differs from the model: by" in line and path.read_bytes() == before
    change(checkpoint, {"transformer.ln_f.bias": None})
    assert "missing: transformer.ln_f.bias" in fails("export", checkpoint, "--format", "onnx", "--output", path)
    assert path.read_bytes() == before and not list(tmp_path.glob(".partial*"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--format", "onnx", "--quantize", "int8"], "--quantize is for --format litert, not onnx"),
        (["--quantize", "float16"], "--quantize is for --format litert, not saved_model"),
        (["--format", "litert", "--quantize", "int4"], "'--quantize'"),
        (["--format", "onnx", "--temperature", 0.5], "--temperature is for --format saved_model, not onnx"),
        (["--format", "pickle"], "'--format'"),
        (["--format", "litert", "--tolerance", "-1"], "'--tolerance': -1.0 is not 0 or above"),
        (["--format", "litert", "--output", "model"], "file that ends in .tflite"),
        (["--format", "onnx", "--output", "model"], "file that ends in .onnx"),
    ],
)
def test_bad_options(fails, checkpoint, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    before = files(tmp_path)
    assert words in fails("export", checkpoint, *options)
    assert files(tmp_path) == before


def test_what_is_neither(fails, tmp_path):
    (tmp_path / "x").mkdir()
    assert f"there is no run in {tmp_path / 'x'}" in fails("export", tmp_path / "x", "--format", "litert")
    assert "there is no run in" in fails("export", tmp_path / "none", "--format", "onnx")


@pytest.mark.slow
def test_the_hub(fails, hub, tmp_path):
    path = tmp_path / "model.onnx"
    assert run("export", hub, "--revision", "old", "--format", "onnx", "--output", path) == 0
    assert path.stat().st_size > 40_740
    assert "some/gpt is neither in the cache nor within reach" in fails("export", hub, "--format", "onnx")
