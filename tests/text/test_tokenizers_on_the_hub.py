"""Tokenizers by a hub id, from the hub's cache: no test here asks a server."""

import huggingface_hub
import pytest
from helpers import long_after
from hub_helpers import put_into_cache

from keras_tx.text import BPETokenizer, CharTokenizer, WordPieceTokenizer, load_tokenizer

TEXT = ["The old baker of Oslo met the bakers of Rome."] * 2
MADE = {
    BPETokenizer: lambda: BPETokenizer.train(TEXT, 270),
    WordPieceTokenizer: lambda: WordPieceTokenizer.train(TEXT, 60),
    CharTokenizer: lambda: CharTokenizer.from_text(TEXT[0]),
}


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """The files that the hub is asked for."""
    names: list[str] = []
    download = huggingface_hub.hf_hub_download

    def recorded(hub_id, name, **options):
        names.append(name)
        return download(hub_id, name, **options)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", recorded)
    return names


@pytest.fixture
def hub(tmp_path) -> dict:
    return {"cache_dir": tmp_path / "cache", "local_files_only": True}


@pytest.mark.parametrize("kind", long_after(1, MADE), ids=lambda kind: kind.__name__)
def test_a_tokenizer_by_its_hub_id(kind, hub, tmp_path, asked):
    tokenizer = MADE[kind]()
    tokenizer.save_pretrained(tmp_path / "saved")
    (tmp_path / "saved" / "config.json").write_text('{"model_type": "gpt2"}')
    (tmp_path / "saved" / "model.safetensors").write_bytes(b"weights")
    put_into_cache(hub["cache_dir"], "some/model", tmp_path / "saved")
    for read in (load_tokenizer, kind.from_pretrained):
        found = read("some/model", **hub)
        assert type(found) is kind
        assert found.encode(TEXT[0]) == tokenizer.encode(TEXT[0])
    assert asked and not [name for name in asked if "model." in name]
    assert "vocab.json" not in asked  # tokenizer.json has all that is in it


def test_a_plain_vocabulary(hub, tmp_path):
    tokenizer = MADE[BPETokenizer]()
    tokenizer.save_pretrained(tmp_path / "saved")
    (tmp_path / "saved" / "tokenizer.json").unlink()
    put_into_cache(hub["cache_dir"], "some/model", tmp_path / "saved")
    assert load_tokenizer("some/model", **hub).encode(TEXT[0]) == tokenizer.encode(TEXT[0])


def test_a_revision(hub, tmp_path):
    for size, commit, revision in ((270, "1" * 40, "main"), (265, "2" * 40, "old")):
        BPETokenizer.train(TEXT, size).save_pretrained(tmp_path / revision)
        put_into_cache(hub["cache_dir"], "some/model", tmp_path / revision, commit, revision)
    assert load_tokenizer("some/model", **hub).vocab_size == 270
    for revision in ("old", "2" * 40):
        assert load_tokenizer("some/model", revision=revision, **hub).vocab_size == 265


def test_a_repository_without_a_tokenizer(hub, tmp_path):
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "config.json").write_text("{}")
    put_into_cache(hub["cache_dir"], "some/model", tmp_path / "saved")
    with pytest.raises(FileNotFoundError, match=r"no tokenizer of the hub's some/model .* tokenizer\.json, "):
        load_tokenizer("some/model", **hub)


@pytest.mark.parametrize("source", ["some/model/too/deep", "./nowhere", "../up"])
def test_what_is_no_hub_id(source):
    with pytest.raises(FileNotFoundError, match=r"no directory .* and that is no hub id"):
        load_tokenizer(source)
