"""A program that fails as it should, a run that has ended, a checkpoint, a disk that is too small."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers import randomize
from huggingface_hub import constants
from program import SHORT, run

from keras_tx.models import GPTModel
from keras_tx.text import default_text


@pytest.fixture
def fails(capfd):
    """Runs the program, which must fail; the one line it says."""

    def check(*arguments) -> str:
        capfd.readouterr()
        assert run(*arguments) not in (0, None)
        out, error = capfd.readouterr()
        (line,) = error.splitlines()
        assert line.startswith("keras-tx: ") and "Traceback" not in out
        return line

    return check


@pytest.fixture(scope="session")
def text(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(default_text()[:4000])
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory, text) -> Path:
    """The directory of a run that has ended."""
    runs = tmp_path_factory.mktemp("runs")
    assert run("train", "--text", text, "--runs", runs, "--name", "done", *SHORT) == 0
    return runs / "done"


@pytest.fixture
def copy(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "copy"))


@pytest.fixture(scope="session")
def saved(tmp_path_factory) -> Path:
    """A checkpoint as Transformers has it, with the files of a tokenizer."""
    directory = tmp_path_factory.mktemp("saved")
    model = GPTModel(vocab_size=61, max_positions=37, num_layers=3, num_heads=3, d_model=15, eos_token_id=7)
    randomize(model, np.random.default_rng(3)).save_pretrained(directory, format="huggingface")
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        (directory / name).write_text(f"the tokenizer's {name}\r\n")
    (directory / "README.md").write_text("a model")
    return directory


@pytest.fixture
def checkpoint(saved, tmp_path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "checkpoint"))


@pytest.fixture
def hub(checkpoint, tmp_path, monkeypatch) -> str:
    """The id of a checkpoint that is in the hub's cache, at the revision "old" alone; no hub is within reach."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "cache" / "models--some--gpt"
    shutil.copytree(checkpoint, repository / "snapshots" / ("1" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "old").write_text("1" * 40)
    return "some/gpt"


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a disk of so many KiB, or resizes it."""
    path = tmp_path / "disk"
    path.mkdir()

    def resize(size: int) -> Path:
        how = f"{'remount,' if path.is_mount() else ''}size={size}k"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", how, "tmpfs", path], capture_output=True, check=False)
        if done.returncode:
            pytest.skip("only root can mount a small disk")
        return path

    yield resize
    if path.is_mount():
        subprocess.run(["umount", "--lazy", path], check=True)
