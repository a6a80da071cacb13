"""A program that fails as it should, a run that has ended, a disk that is too small."""

import shutil
import subprocess
from pathlib import Path

import pytest
from program import SHORT, run

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
