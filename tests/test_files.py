"""Files and directories are written whole or not at all, whatever happens meanwhile."""

import signal
import subprocess
import sys

import pytest

from keras_tx.files import read_json, whole_directory, whole_file, write_json

pytestmark = pytest.mark.any_backend

KILLED = """
import os, signal, sys
from pathlib import Path
from keras_tx import files

path, moment = Path(sys.argv[1]), int(sys.argv[2])

def die_at(call, count=[0]):
    count[0] += 1
    if count[0] == moment:
        os.kill(os.getpid(), signal.SIGKILL)

CALLS = "os.rename", "os.remove", "shutil.rmtree"
sys.addaudithook(lambda event, arguments: die_at(event) if event in CALLS else None)
kind = files.whole_directory if path.suffix == ".d" else files.whole_file
with kind(path) as partial:
    target = partial / "content" if path.suffix == ".d" else partial
    target.write_text("new")
    if not moment:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def names(directory) -> list[str]:
    return [path.name for path in directory.iterdir()]


class Broken(Exception):
    pass


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    with whole_file(path) as partial:
        partial.write_text("new")
        assert partial.parent == path.parent and partial.suffix == ".txt"
        assert not path.exists()
    assert path.read_text() == "new"
    assert names(path.parent) == ["file.txt"]


def test_a_file_is_kept_when_writing_fails(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(Broken), whole_file(path) as partial:
        partial.write_text("half")
        raise Broken
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_a_directory_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "directory"
    for content in ("first", "second"):
        with whole_directory(path) as partial:
            (partial / content).write_text(content)
        assert names(path) == [content]
    assert names(tmp_path) == ["directory"]


def test_a_directory_is_kept_when_filling_it_fails(tmp_path):
    path = tmp_path / "directory"
    path.mkdir()
    (path / "old").touch()
    with pytest.raises(Broken), whole_directory(path) as partial:
        (partial / "new").touch()
        raise Broken
    assert names(path) == ["old"]
    assert names(tmp_path) == ["directory"]


@pytest.mark.parametrize("moment", [0, 1])
def test_a_file_survives_a_kill(tmp_path, moment):
    """Before anything is renamed, and as the rename begins."""
    path = tmp_path / "file.txt"
    path.write_text("old")
    assert killed(path, moment) == -signal.SIGKILL
    assert path.read_text() == "old"


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(6))
def test_a_directory_survives_a_kill(tmp_path, moment):
    """At each step on the way; between the two renames the old one lies beside, as documented."""
    path, previous = tmp_path / "directory.d", tmp_path / ".previous-directory.d"
    path.mkdir()
    (path / "content").write_text("old")
    died = killed(path, moment)
    found = path if path.exists() else previous
    assert (found / "content").read_text() == ("old" if died and not (previous.exists() and path.exists()) else "new")
    with whole_directory(path) as partial:
        (partial / "content").write_text("newer")
    assert (path / "content").read_text() == "newer"
    assert not previous.exists()


def killed(path, moment: int) -> int:
    return subprocess.run([sys.executable, "-c", KILLED, str(path), str(moment)], check=False).returncode


def test_json_comes_back(tmp_path):
    content = {"text": "naïve 字", "numbers": [1, 2.5, None]}
    write_json(tmp_path / "x.json", content)
    assert read_json(tmp_path / "x.json") == content


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "x.json", 1)
    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", {"a": object()})
    assert read_json(tmp_path / "x.json") == 1


@pytest.mark.parametrize("data", [b"{", b"", b"\xff\xfe"])
def test_what_is_not_json_is_named(tmp_path, data):
    (tmp_path / "x.json").write_bytes(data)
    with pytest.raises(ValueError, match=r"x\.json is not a JSON file"):
        read_json(tmp_path / "x.json")
