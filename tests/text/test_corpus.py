"""Texts from files, from Python itself, and from TFDS sets."""

import time

import pytest

from keras_tx.text import dataset_text, default_text, read_text

SPLITS = {"test": "The end.\n", "train": "Once upon a time — ", "validation": "and then, "}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A directory of TFDS sets as TFDS itself writes them."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    directory = tmp_path_factory.mktemp("tfds")
    for name, feature in (("tiny_shakespeare", "text"), ("textless", "line")):
        tfds.dataset_builders.store_as_tfds_dataset(
            name=name,
            version="1.0.0",
            features=tfds.features.FeaturesDict({feature: tfds.features.Text()}),
            split_datasets={
                split: tf.data.Dataset.from_tensors({feature: tf.constant(text)}) for split, text in SPLITS.items()
            },
            data_dir=str(directory),
        )
    return directory


def test_default_text_is_long_prose():
    text = default_text()
    assert len(text) > 300_000
    assert "The Python interpreter" in text and "\r" not in text


def test_a_file_is_read_as_utf8(tmp_path):
    (tmp_path / "text").write_bytes("naïve — 字\n".encode())
    assert read_text(tmp_path / "text") == "naïve — 字\n"


def test_files_that_are_no_text(tmp_path):
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(b"abc\x80\xff")
    for name, message in {
        "missing": "cannot read .*missing: No such file",
        "empty": "empty is empty",
        "binary": "binary is not UTF-8 text: invalid start byte at byte 3",
        ".": "cannot read .*: Is a directory",
    }.items():
        with pytest.raises(ValueError, match=message):
            read_text(tmp_path / name)


def test_a_prepared_set_is_read_split_by_split(prepared):
    assert dataset_text("tiny_shakespeare", prepared) == "Once upon a time — and then, The end.\n"


def test_a_set_without_text(prepared):
    with pytest.raises(ValueError, match="'textless' has no feature `text`"):
        dataset_text("textless", prepared)


@pytest.mark.parametrize("name", ["no_such_set", "../etc"])
def test_a_set_that_there_is_not(name, tmp_path):
    with pytest.raises(ValueError, match=rf"^cannot load the TFDS set '{name}': .*[^.]\. Give a text file instead\.$"):
        dataset_text(name, tmp_path)


def test_without_a_network_it_does_not_hang(tmp_path, monkeypatch):
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")  # where nobody listens
    began = time.perf_counter()
    with pytest.raises(ValueError, match="cannot download the TFDS set 'tiny_shakespeare': its source cannot"):
        dataset_text("tiny_shakespeare", tmp_path)
    assert time.perf_counter() - began < 30
