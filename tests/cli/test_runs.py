"""The program: what it makes, and that every way to fail is one clear line that leaves earlier results as they were."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from program import SHORT, SMALL, cut, files, flipped, run
from safetensors.numpy import load_file

from keras_tx import extras
from keras_tx.training import read_table


def resume(directory: Path, *arguments) -> list:
    return ["train", "--resume", "--runs", directory.parent, "--name", directory.name, *arguments]


# === What it makes ===


@pytest.mark.slow
def test_a_run_leaves_its_results(trained):
    assert {path.name for path in trained.iterdir()} == {
        *("run.json", "state.safetensors", "model.keras", "char_tokenizer.json", "metrics.csv"),
        *("loss.png", "attention.png", "sample.txt", "tensorboard"),
    }
    table = read_table(trained / "metrics.csv")
    assert [row["step"] for row in table] == [10, 20, 30, 40]
    for row in table:
        assert row["val_loss"] == pytest.approx(row["val_bits"] * np.log(2), rel=1e-5)
    assert table[-1]["val_loss"] < table[0]["val_loss"]
    assert len((trained / "sample.txt").read_text()) == 8 + 400


def test_the_model_holds_the_weights_of_the_state(trained):
    model = keras.models.load_model(trained / "model.keras", compile=False)
    state = load_file(trained / "state.safetensors")
    assert len(model.variables) > 10
    for i, variable in enumerate(model.variables):
        if "seed" in variable.path:
            continue  # which dropout draws next is training's affair
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), state[f"model/{i:04d}"])


def test_generate_prints_the_prompt_and_as_many_characters(trained, capfd):
    def generated(*arguments) -> str:
        assert run("generate", trained, "--prompt", "The ", "--length", 21, *arguments) == 0
        return capfd.readouterr().out

    first = generated()
    assert first.startswith("The ") and len(first) == 4 + 21 + 1
    assert generated("--seed", 0) == first != generated("--seed", 1)
    greedy = generated("--temperature", 0)
    assert generated("--top-k", 1, "--seed", 5) == greedy


@pytest.mark.slow
def test_export_and_export_again(trained, tmp_path, capfd):
    output = tmp_path / "exported" / "1"
    for _ in range(2):
        assert run("export", trained, "--output", output) == 0
        assert f"{output}: " in capfd.readouterr().out
        assert (output / "saved_model.pb").exists()
    assert os.listdir(output.parent) == ["1"]  # noqa: PTH208


def test_no_arguments_show_the_help(capfd):
    assert run() == 0
    assert "Usage: " in capfd.readouterr().out


# === Options ===


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("train --block-size 0", "'--block-size'"),
        ("train --steps 0", "'--steps'"),
        ("train --steps many", "'--steps'"),
        ("train --heads 0", "'--heads'"),
        ("train --heads 3 --width 16", "--width 16 is not a multiple of --heads 3"),
        ("train --learning-rate 0", "'--learning-rate': 0.0 is not above 0"),
        ("train --learning-rate -1", "'--learning-rate': -1.0 is not above 0"),
        ("train --learning-rate nan", "'--learning-rate': nan is not above 0"),
        ("train --dropout 1.5", "'--dropout': 1.5 is not at least 0 and below 1"),
        ("train --seed -1", "'--seed'"),
        ("train --colour blue", "--colour"),
        ("train --text a --dataset b", "give --text or --dataset, not both"),
        ("train --resume --name none", "there is no run in runs/none: begin one with `keras-tx train`"),
        ("generate", "'RUN_OR_CHECKPOINT'"),
        ("generate none", "there is no run in none"),
        ("generate none --length 0", "'--length'"),
        ("generate none --prompt ''", "--prompt must not be empty"),
        ("generate none --temperature -0.5", "'--temperature': -0.5 is not 0 or above"),
        ("generate none --top-p 0", "'--top-p': 0.0 is not above 0 and at most 1"),
        ("generate none --top-k -1", "'--top-k'"),
        ("export none", "there is no run in none"),
        ("export none --length 0", "'--length'"),
        ("fly", "fly"),
    ],
)
def test_bad_options(fails, arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if arguments.startswith("export") and keras.backend.backend() != "tensorflow":
        monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")  # no process of its own for an error
    assert re.search(words, fails(*[part.strip("'") for part in arguments.split()]))
    assert not os.listdir(tmp_path)  # noqa: PTH208


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "--text: .*text is empty"),
        (b"\x89PNG\r\n\x1a\n\x00", "--text: .*text is not UTF-8 text: invalid start byte at byte 0"),
        (b"to be or not to be\n" * 4, "too short: its last tenth must be longer than --block-size 8"),
        (None, "--text: cannot read .*text: No such file"),
        ("directory", "--text: cannot read .*text: Is a directory"),
    ],
)
def test_bad_texts(fails, tmp_path, content, words):
    path = tmp_path / "text"
    if content == "directory":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    assert re.search(words, fails("train", "--text", path, "--runs", tmp_path / "runs", *SHORT))
    assert not (tmp_path / "runs").exists()


def test_a_prompt_outside_the_vocabulary(fails, trained):
    assert re.search("--prompt: the vocabulary has no '字'", fails("generate", trained, "--prompt", "a字"))


def test_a_set_that_cannot_be_had(fails, tmp_path):
    line = fails("train", "--dataset", "no_such_set", "--runs", tmp_path, *SHORT)
    assert re.search("--dataset: cannot load the TFDS set 'no_such_set'", line)


# === Earlier runs ===


def test_a_run_is_not_written_over(fails, trained, text):
    before = files(trained)
    line = fails("train", "--text", text, "--runs", trained.parent, "--name", "done", *SHORT)
    assert all(word in line for word in ("already holds a run", "--resume", "--name", "--overwrite"))
    assert files(trained) == before


@pytest.mark.slow
def test_overwrite_moves_the_run_aside(copy, text):
    before = files(copy)
    arguments = ["--runs", copy.parent, "--name", copy.name, "--overwrite", *SHORT, "--steps", "10", "--seed", "3"]
    assert run("train", "--text", text, *arguments) == 0
    assert files(copy.with_name("copy.previous")) == before
    assert [row["step"] for row in read_table(copy / "metrics.csv")] == [10]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--steps", "50"], "begun with --steps 40, not 50: leave --steps out"),
        (["--dropout", "0"], "begun with --dropout 0.1, not 0.0: leave --dropout out"),
        (["--dataset", "x"], "begun without --dataset, not x: leave --dataset out"),
    ],
)
def test_options_that_conflict_with_the_runs(fails, copy, arguments, words):
    before = files(copy)
    assert words in fails(*resume(copy, *arguments))
    assert files(copy) == before


def test_a_text_that_has_changed(fails, copy, text, tmp_path):
    record = json.loads((copy / "run.json").read_text())
    record["options"]["text"] = str(tmp_path / "text")
    (copy / "run.json").write_text(json.dumps(record))
    (tmp_path / "text").write_text(text.read_text() + "!")
    before = files(copy)
    assert "the data are not those" in fails(*resume(copy))
    assert files(copy) == before


@pytest.mark.slow
def test_a_run_that_died_before_its_first_save_begins_again(copy, trained):
    for path in copy.iterdir():
        if path.name != "run.json":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert run(*resume(copy, *SHORT)) == 0  # the same options again are no conflict
    assert (copy / "sample.txt").read_bytes() == (trained / "sample.txt").read_bytes()
    same_bits(copy, trained)


def same_bits(run: Path, other: Path) -> None:
    got, want = (load_file(directory / "state.safetensors") for directory in (run, other))
    assert got.keys() == want.keys()
    for name, tensor in want.items():
        assert got[name].tobytes() == tensor.tobytes(), name


@pytest.mark.parametrize("command", ["generate", "export"])
@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("model.keras", cut),
        ("model.keras", flipped),
        ("model.keras", lambda data: b""),
        ("char_tokenizer.json", cut),
        ("char_tokenizer.json", lambda data: b'{"characters": "abc"}'),
        ("run.json", cut),
        ("run.json", lambda data: b"[]"),
    ],
)
def test_damaged_results(fails, copy, command, name, damage):
    if command == "export" and keras.backend.backend() != "tensorflow":
        pytest.skip("export runs on TensorFlow, in a process of its own")
    (copy / name).write_bytes(damage((copy / name).read_bytes()))
    before = files(copy)
    line = fails(command, copy)
    assert str(copy) in line
    assert re.search("writes it anew" if name != "run.json" else "not a JSON file|damaged: restore it", line)
    assert files(copy) == before


@pytest.mark.parametrize("name", ["state.safetensors", "run.json"])
@pytest.mark.parametrize("damage", [cut, lambda data: b"", lambda data: b"{}"])
def test_damaged_runs_are_not_resumed(fails, copy, name, damage):
    (copy / name).write_bytes(damage((copy / name).read_bytes()))
    before = files(copy)
    assert re.search(f"{name} is (not a training state|not a JSON file|damaged)", fails(*resume(copy)))
    assert files(copy).items() >= {k: v for k, v in before.items() if "tensorboard" not in k}.items()


@pytest.mark.slow
def test_resume_mends_a_damaged_model(copy, trained):
    (copy / "model.keras").write_bytes(b"damaged")
    (copy / "char_tokenizer.json").unlink()
    metrics = (copy / "metrics.csv").read_bytes()
    assert run(*resume(copy)) == 0
    assert run("generate", copy, "--length", 3) == 0
    assert (copy / "metrics.csv").read_bytes() == metrics
    same_bits(copy, trained)


# === Disks ===


@pytest.mark.parametrize("content", ["file", "directory"])
def test_export_removes_nothing_but_a_saved_model(fails, trained, tmp_path, content):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("export runs on TensorFlow, in a process of its own")
    path = tmp_path / "mine"
    if content == "directory":
        path.mkdir()
    precious = path / "precious" if content == "directory" else path
    precious.write_text("mine")
    message = fails("export", trained, "--output", path)
    assert "mine exists and is not a SavedModel, or holds other files too: choose a new directory" in message
    assert precious.read_text() == "mine"


def test_a_place_that_cannot_be_written_to(fails, trained, text, tmp_path):
    (tmp_path / "file").write_text("mine")
    below = tmp_path / "file" / "below"
    lines = [fails("train", "--text", text, "--runs", below, *SHORT)]
    if keras.backend.backend() == "tensorflow":
        lines.append(fails("export", trained, "--output", below))
    for line in lines:
        assert re.search("(Not a directory|File exists): .*file.*; choose another place", line)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.slow
def test_a_full_disk(fails, small_disk, text, trained, tmp_path):
    """While training; while the model is saved; while it is exported. Afterwards all goes on."""
    disk = small_disk(48)
    line = fails("train", "--text", text, "--runs", disk, "--name", "run", *SHORT)
    assert re.search("No space left on device: .*state.safetensors; free some space and try again", line)
    assert {path.name for path in (disk / "run").iterdir()} == {"run.json", "metrics.csv", "tensorboard"}
    small_disk(10_000)
    (disk / "ballast").write_bytes(bytes(shutil.disk_usage(disk).free - 150_000))
    record = (disk / "run" / "run.json").read_bytes()
    line = fails(*resume(disk / "run"))
    assert re.search("No space left on device: .*(keras|png|state.*); free some space and try again", line)
    assert not list(disk.rglob("*partial*"))
    assert (disk / "run" / "run.json").read_bytes() == record
    (disk / "ballast").unlink()
    assert run(*resume(disk / "run")) == 0
    same_bits(disk / "run", trained)
    if keras.backend.backend() == "tensorflow":
        assert run("export", disk / "run") == 0
        before = files(disk / "run" / "saved_model")
        (disk / "ballast").write_bytes(bytes(shutil.disk_usage(disk).free - 100_000))
        assert "No space left on device; free some space" in fails("export", disk / "run")
        assert files(disk / "run" / "saved_model") == before


# === Stops ===


@pytest.mark.slow
def test_stopped_and_killed_from_outside(prepared_sets, tmp_path, monkeypatch):
    """Ctrl-C, SIGTERM and kill -9 of the program; what it leaves goes on to the bits of a run left alone."""
    options = ["--dataset", "tiny_shakespeare", "--runs", tmp_path, *SMALL, "--steps", "1500", "--epoch-steps", "100"]
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared_sets))
    state = tmp_path / "stopped" / "state.safetensors"
    again: list[str] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        before = state.read_bytes() if state.exists() else None
        command = [sys.executable, "-m", "keras_tx.cli", "train", "--name", "stopped", *map(str, options), *again]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            deadline = time.monotonic() + 120
            while (not state.exists() or state.read_bytes() == before) and time.monotonic() < deadline:
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.05)
            process.send_signal(number)
            _, error = process.communicate(timeout=60)
        if number == signal.SIGKILL:
            assert process.returncode == -number
        else:
            assert process.returncode == 128 + number
            (line,) = error.splitlines()
            assert re.fullmatch(r"keras-tx: stopped at step \d+, which is saved: continue with --resume", line)
        again = ["--resume"]
    assert not (tmp_path / "stopped" / "model.keras").exists()
    from tensorflow_datasets.core import constants

    monkeypatch.setattr(constants, "DATA_DIR", str(prepared_sets))  # read from the environment when imported
    assert run("train", "--name", "stopped", *options, "--resume") == 0
    assert run("train", "--name", "alone", *options) == 0
    same_bits(tmp_path / "stopped", tmp_path / "alone")
    tables = [read_table(tmp_path / name / "metrics.csv") for name in ("stopped", "alone")]
    steps, losses = ([[row[column] for row in table] for table in tables] for column in ("step", "val_loss"))
    assert steps[0] == steps[1] == list(range(100, 1501, 100))
    assert losses[0] == losses[1]


@pytest.fixture(scope="session")
def prepared_sets(tmp_path_factory) -> Path:
    """A directory of TFDS sets with a tiny Shakespeare, as TFDS itself writes them."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    directory = tmp_path_factory.mktemp("tfds")
    lines = tf.data.Dataset.from_tensors({"text": tf.constant("To be, or not to be: that is the question.\n" * 60)})
    tfds.dataset_builders.store_as_tfds_dataset(
        name="tiny_shakespeare",
        version="1.0.0",
        features=tfds.features.FeaturesDict({"text": tfds.features.Text()}),
        split_datasets={"train": lines},
        data_dir=str(directory),
    )
    return directory


def test_a_missing_extra_is_told_before_training(fails, tmp_path, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda module: None)
    for command in ("train", "train vit"):
        line = fails(*command.split(), "--runs", tmp_path)
        assert line.endswith('matplotlib is not installed: `pip install "keras_tx[plot]"`.')
    assert not list(tmp_path.iterdir())
