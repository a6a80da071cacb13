"""`keras-tx convert`: the whole checkpoint arrives, or nothing does and one line says why."""

import dataclasses
import re

import numpy as np
import pytest
from helpers import numpy
from program import DAMAGES, change, configure, files, not_finite, run
from safetensors.numpy import load_file

from keras_tx import ImagePreprocessor, VisionTransformer
from keras_tx.models import GPTConfig, GPTDoubleHeadsModel, GPTModel, load_pretrained

TOKENIZER = ("vocab.json", "merges.txt", "tokenizer_config.json")


def equal_weights(a, b) -> bool:
    pairs = zip(a.weights_by_path().items(), b.weights_by_path().items(), strict=True)
    return all(path == other and np.array_equal(numpy(x), numpy(y)) for (path, x), (other, y) in pairs)


# === What it makes ===


def test_there_and_back(checkpoint, tmp_path, capfd):
    ours, theirs = tmp_path / "new" / "ours", tmp_path / "new" / "theirs"
    before = files(checkpoint)
    assert run("convert", checkpoint, ours) == 0
    size = (ours / "model.safetensors").stat().st_size
    out = capfd.readouterr().out
    assert "GPTModel, 10,185 parameters" in out  # 61 * 15 + 37 * 15 + 3 * (12 * 15 * 15 + 13 * 15) + 30
    assert f"{len(before['model.safetensors']):,} bytes of weights" in out and f"{size:,} bytes of weights" in out
    assert f"tokenizer: {', '.join(TOKENIZER)}" in out and "note: " not in out
    assert run("convert", ours, theirs, "--format", "huggingface") == 0
    after = files(theirs)
    assert before.keys() - after.keys() == {"README.md"} and after.keys() <= before.keys()
    for name, content in after.items():
        assert content == before[name], name
    assert equal_weights(GPTModel.from_pretrained(ours), GPTModel.from_pretrained(checkpoint))
    assert files(checkpoint) == before
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"ours", "theirs"}


def test_heads_and_labels_arrive(tmp_path):
    labels = ("good", "bad", "so so")
    config = GPTConfig(vocab_size=61, max_positions=37, num_layers=1, num_heads=3, d_model=15, num_labels=3)
    model = GPTDoubleHeadsModel(config.replace(label_names=labels, summary_activation="tanh"))
    model.save_pretrained(tmp_path / "ours")
    assert run("convert", tmp_path / "ours", tmp_path / "theirs", "--format", "huggingface") == 0
    copy = load_pretrained(tmp_path / "theirs")
    assert type(copy) is GPTDoubleHeadsModel and copy.config == model.config and equal_weights(copy, model)


def test_images_for_timm_and_back(tmp_path, capfd):
    model = VisionTransformer(image_size=8, patch_size=4, num_layers=1, num_heads=2, d_model=8, d_ff=12, num_classes=3)
    model.save_pretrained(tmp_path / "ours")
    preprocessor = ImagePreprocessor(image_size=8, resize=9, interpolation="bicubic", mean=(0.4,) * 3)
    preprocessor.save_pretrained(tmp_path / "ours")
    assert run("convert", tmp_path / "ours", tmp_path / "timm", "--format", "timm") == 0
    assert "preprocessor: config.json" in capfd.readouterr().out
    assert {path.name for path in (tmp_path / "timm").iterdir()} == {"config.json", "model.safetensors"}
    assert run("convert", tmp_path / "timm", tmp_path / "back") == 0
    assert equal_weights(VisionTransformer.from_pretrained(tmp_path / "back"), model)
    found = ImagePreprocessor.from_pretrained(tmp_path / "back")
    assert found == dataclasses.replace(preprocessor, crop_rounding="even")


def test_shards(checkpoint, tmp_path):
    assert run("convert", checkpoint, tmp_path / "x", "--format", "huggingface", "--max-shard-size", "10KB") == 0
    shards = sorted((tmp_path / "x").glob("model-*-of-*.safetensors"))
    assert len(shards) > 2 and all(path.stat().st_size < 13_000 for path in shards)
    together = {name: array for path in shards for name, array in load_file(path).items()}
    for name, array in load_file(checkpoint / "model.safetensors").items():
        np.testing.assert_array_equal(together[name], array)


def test_notes(checkpoint, tmp_path, capfd):
    configure(checkpoint, architectures=["GPT2DoubleHeadsModel"])
    change(checkpoint, {"score.weight": np.zeros((2, 15), "float32")})
    assert run("convert", checkpoint, tmp_path / "x") == 0
    notes = [line for line in capfd.readouterr().out.splitlines() if line.startswith("note: ")]
    assert re.search("fresh, .*: multiple_choice_head.summary.weight, multiple_choice_head.summary.bias", notes[0])
    assert re.search("left out, .*: score.weight", notes[1])


def test_the_hub(fails, hub, checkpoint, tmp_path):
    """What lies in the hub's cache, tokenizer and all."""
    assert run("convert", hub, tmp_path / "x", "--revision", "old", "--format", "huggingface") == 0
    assert files(tmp_path / "x") == {name: x for name, x in files(checkpoint).items() if name != "README.md"}
    assert "some/gpt is neither in the cache nor within reach" in fails("convert", hub, tmp_path / "y")
    assert not (tmp_path / "y").exists()


# === What it refuses ===


@pytest.mark.parametrize("damage", [*DAMAGES, "not finite"])
def test_damaged_sources(fails, checkpoint, tmp_path, damage):
    act, words = {**DAMAGES, "not finite": (not_finite, "ln_f.bias .*not finite: the file is damaged")}[damage]
    act(checkpoint)
    before = files(tmp_path)
    assert re.search(words, fails("convert", checkpoint, tmp_path / "new"))
    assert files(tmp_path) == before and not (tmp_path / "new").exists()


def test_a_tokenizer_that_leads_out(fails, checkpoint, tmp_path):
    (tmp_path / "secret").write_text("mine")
    (checkpoint / "vocab.json").unlink()
    (checkpoint / "vocab.json").symlink_to(tmp_path / "secret")
    assert "leads out of its directory" in fails("convert", checkpoint, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_model_that_the_format_cannot_hold(fails, tmp_path):
    GPTModel(vocab_size=61, num_layers=1, num_heads=1, d_model=16, positions="rotary").save_pretrained(tmp_path / "x")
    line = fails("convert", tmp_path / "x", tmp_path / "new", "--format", "huggingface")
    assert "positions" in line and 'format="keras_tx"' in line
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--format", "onnx"], "'--format'"),
        (["--max-shard-size", "big"], "`max_shard_size` must be a number of bytes or as \"500MB\"; got 'big'"),
        (["--revision"], "--revision"),
    ],
)
def test_bad_options(fails, checkpoint, tmp_path, options, words):
    assert words in fails("convert", checkpoint, tmp_path / "new", *options)
    assert not (tmp_path / "new").exists()


def test_overwrite_replaces_a_checkpoint_whole(fails, checkpoint, tmp_path):
    new = tmp_path / "new"
    assert run("convert", checkpoint, new, "--max-shard-size", "10KB") == 0
    before = files(new)
    assert "already holds a checkpoint: choose a new directory, or pass --overwrite" in fails(
        "convert", checkpoint, new
    )
    change(checkpoint, {"transformer.ln_f.bias": None})
    assert "missing: transformer.ln_f.bias" in fails("convert", checkpoint, new, "--overwrite")
    assert files(new) == before
    assert run("convert", tmp_path / "new", tmp_path / "other", "--format", "huggingface") == 0
    assert run("convert", tmp_path / "other", new, "--overwrite") == 0
    assert (new / "model.safetensors").exists() and not list(new.glob("model-*"))


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_what_is_no_checkpoint_is_not_replaced(fails, checkpoint, tmp_path, overwrite):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    before = files(tmp_path)
    for name in ("mine", "file"):
        line = fails("convert", checkpoint, tmp_path / name, *overwrite)
        assert f"{name} exists and is not a checkpoint: choose a new directory" in line
    assert files(tmp_path) == before


def test_the_source_is_not_replaced(fails, checkpoint, monkeypatch):
    before = files(checkpoint)
    monkeypatch.chdir(checkpoint)
    (checkpoint.parent / "link").symlink_to(checkpoint)
    for destination in (checkpoint, ".", "../link", checkpoint / ".." / "checkpoint"):
        assert "is or holds the source" in fails("convert", checkpoint, destination, "--overwrite")
    (checkpoint.parent / "config.json").write_text("{}")  # so that it looks like one
    assert "is or holds the source" in fails("convert", checkpoint, "..", "--overwrite")
    assert files(checkpoint) == before


# === Disks ===


def test_a_place_that_cannot_be_written_to(fails, checkpoint, tmp_path):
    (tmp_path / "file").write_text("mine")
    line = fails("convert", checkpoint, tmp_path / "file" / "below")
    assert re.search("(Not a directory|File exists): .*file.*; choose another place", line)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk(fails, small_disk, checkpoint):
    """In a header, in a tensor, in a large one; afterwards nothing is left."""
    configure(checkpoint, vocab_size=5003)
    change(checkpoint, {"transformer.wte.weight": np.zeros((5003, 15), "float32")})
    for size in (8, 24, 120, 320):
        disk = small_disk(size)
        line = fails("convert", checkpoint, disk / "new")
        assert re.search("No space left on device: .*new.*; free some space and try again", line)
        assert not list(disk.iterdir())
    small_disk(1000)
    assert run("convert", checkpoint, disk / "new") == 0
    assert run("inspect", disk / "new") == 0
