"""`keras-tx export`: a run or a checkpoint as an artifact, or nothing and one line that says why."""

import io
import json
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest
from helpers import numpy, randomize
from PIL import Image
from program import change, files, run

from keras_tx import BERTForSequenceClassification, BPETokenizer, GPTDoubleHeadsModel, GPTModel, WordPieceTokenizer

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="exports are made on TensorFlow, in a process of their own"
)
FORMATS = {"litert": "model.tflite", "onnx": "model.onnx"}
GOLDEN = Path(__file__).parents[1] / "golden"
TEXT = "the cat sat on the mat, the rat sat on the cat."


def card_of(path: Path) -> dict:
    return json.loads((path / "model_card.json").read_text())


def served(path: Path, signature: str, **inputs) -> dict:
    import tensorflow as tf

    function = tf.saved_model.load(str(path)).signatures[signature]
    return {name: x.numpy() for name, x in function(**{k: tf.constant(x) for k, x in inputs.items()}).items()}


def png(size: int, channels: int) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, channels)).astype("uint8")
    data = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(data, "PNG")
    return data.getvalue()


# === SavedModels ===


@pytest.fixture
def writer(tmp_path) -> Path:
    """A checkpoint of a GPT with its tokenizer."""
    tokenizer = BPETokenizer.train([TEXT] * 2, 271)
    sizes = {"max_positions": 31, "num_layers": 1, "num_heads": 3, "d_model": 15}
    model = GPTModel(vocab_size=tokenizer.vocab_size, eos_token_id=tokenizer.eos_token_id, **sizes)
    randomize(model, np.random.default_rng(2)).save_pretrained(tmp_path / "writer", format="huggingface")
    tokenizer.save_pretrained(tmp_path / "writer")
    return tmp_path / "writer"


@pytest.mark.slow
def test_a_checkpoint_with_its_tokenizer(writer, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("saved_models/writer/1")
    options = ["--length", 3, "--temperature", 0, "--top-k", 5, "--top-p", 0.5, "--num-beams", 2]
    assert run("export", writer, *options) == 0
    out, size = capfd.readouterr().out, sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    assert re.search(r"GPTModel, [\d,]+ parameters, [\d,]+ bytes in float32", out)
    assert f"{path}: {size:,} bytes\nchecked: its answers are equal to those of the model" in out
    card = card_of(path)
    assert card["source"] == str(writer) and "generate_beams" in card["signatures"]
    tokenizer, model = BPETokenizer.from_pretrained(writer), GPTModel.from_pretrained(writer)
    (ids,) = numpy(model.generate(np.array([tokenizer.encode("the cat")]), max_new_tokens=3))
    text = served(path, "serve_text", prompt=["the cat"])["text"][0].decode()
    assert text == tokenizer.decode(ids, skip_special_tokens=True) and len(ids) == len(tokenizer.encode("the cat")) + 3


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["run", "timm"])
def test_images(kind, tmp_path):
    """Of a run, and of a timm checkpoint, whose config tells how it wants its images."""
    source, channels = GOLDEN / "vit" / "timm", 3
    if kind == "run":
        assert run("train", "vit", "--epochs", 1, "--runs", tmp_path, "--name", "digits") == 0
        source, channels = tmp_path / "digits", 1
    assert run("export", source, "--output", tmp_path / "1") == 0
    found = served(tmp_path / "1", "serve_image", image_bytes=[png(23, channels)] * 2)
    assert found["label"].shape == (2,) and found["scores"].sum() == pytest.approx(2)
    assert card_of(tmp_path / "1")["source"] == str(source)


@pytest.mark.slow
def test_a_tokenizer_of_a_model_that_takes_no_strings_is_left_alone(tmp_path):
    tokenizer = BPETokenizer.train([TEXT] * 2, 271)
    sizes = {"max_positions": 31, "num_layers": 1, "num_heads": 3, "d_model": 15}
    model = GPTDoubleHeadsModel(vocab_size=tokenizer.vocab_size, **sizes)
    model.save_pretrained(tmp_path / "double", format="huggingface")
    tokenizer.save_pretrained(tmp_path / "double")
    assert run("export", tmp_path / "double", "--output", tmp_path / "1") == 0
    assert [*card_of(tmp_path / "1")["signatures"]] == ["serving_default"]


@pytest.mark.parametrize(("option", "value"), [("--length", 3), ("--top-p", 0.5), ("--num-beams", 2)])
def test_options_of_generation_are_of_models_that_generate(fails, writer, tmp_path, option, value):
    tokenizer = WordPieceTokenizer.train([TEXT] * 2, 61)
    sizes = {"max_positions": 31, "num_layers": 1, "num_heads": 3, "d_model": 15, "d_ff": 29}
    BERTForSequenceClassification(vocab_size=tokenizer.vocab_size, **sizes).save_pretrained(tmp_path / "bert")
    tokenizer.save_pretrained(tmp_path / "bert")
    for name in ("vocab.json", "merges.txt", "tokenizer.json"):
        (writer / name).unlink()
    for source in (tmp_path / "bert", writer):
        line = fails("export", source, "--output", tmp_path / "1", option, value)
        assert f"{option} is for models that generate text and have a tokenizer beside them" in line
    assert not (tmp_path / "1").exists()


def test_exports_are_called_as_their_checkpoints(checkpoint, tmp_path, monkeypatch):
    """All of the name, with its dots, as timm's have."""
    shutil.copytree(checkpoint, tmp_path / "gpt.one_tag")
    monkeypatch.chdir(tmp_path)
    assert run("export", tmp_path / "gpt.one_tag", "--format", "onnx") == 0
    assert (tmp_path / "saved_models" / "gpt.one_tag" / "model.onnx").exists()


# === LiteRT and ONNX ===


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
def test_a_run(trained, tmp_path, capfd, format):
    path = tmp_path / "out" / FORMATS[format]
    assert run("export", trained, "--format", format, "--output", path) == 0
    out = capfd.readouterr().out
    size = path.stat().st_size
    assert re.search(r"GPTModel, [\d,]+ parameters, [\d,]+ bytes in float32", out) and f"{path}: {size:,} bytes" in out
    assert "checked: the largest difference from the model's numbers is" in out
    assert "; 100% of its tokens are the model's likeliest" in out
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


def test_whole_passes_alone(checkpoint, tmp_path, capfd):
    path = tmp_path / "model.onnx"
    assert run("export", checkpoint, "--format", "onnx", "--no-cache", "--output", path) == 0
    inputs = {x.name for x in onnxruntime.InferenceSession(path).get_inputs()}
    assert "input_ids" in inputs and not any(name.startswith("past_") for name in inputs)
    assert "tokens are the model's likeliest" not in capfd.readouterr().out


@pytest.mark.slow
def test_what_was_there_stays(fails, checkpoint, tmp_path):
    path = tmp_path / "model.onnx"
    assert run("export", checkpoint, "--format", "onnx", "--output", path) == 0
    before = path.read_bytes()
    line = fails("export", checkpoint, "--format", "onnx", "--output", path, "--tolerance", 0)
    assert "the artifact differs from the model: its numbers by" in line and path.read_bytes() == before
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
        (["--format", "onnx", "--num-beams", 2], "--num-beams is for --format saved_model, not onnx"),
        (["--format", "litert", "--xla"], "--xla is for --format saved_model, not litert"),
        (["--no-cache"], "--cache is for --format litert or onnx, not saved_model"),
        (["--top-p", 0], "'--top-p': 0.0 is not above 0 and at most 1"),
        (["--format", "pickle"], "'--format'"),
        (["--format", "litert", "--tolerance", "-1"], "'--tolerance': -1.0 is not 0 or above"),
        (["--format", "litert", "--output", "model"], "must name a file that ends in .tflite"),
        (["--format", "onnx", "--output", "model"], "must name a file that ends in .onnx"),
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
