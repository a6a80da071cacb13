"""Records: written whole or not at all, read with the tokenizer that made them alone."""

import json

import numpy as np
import pytest

from keras_tx.text import BPETokenizer, CharTokenizer, WordPieceTokenizer
from keras_tx.training.records import fingerprint, read_manifest, read_records, write_records

TOKENIZER = CharTokenizer("abcdefg")


def rows() -> dict[str, np.ndarray]:
    ids = np.arange(55, dtype="int32").reshape(11, 5)
    return {"input_ids": ids, "attention_mask": (ids % 4 > 0).astype("int32"), "next_sentence_label": ids[:, 0] % 2}


@pytest.mark.parametrize("shards", [1, 3, 11])
def test_written_and_read(shards, tmp_path):
    calls = []
    manifest = write_records(
        tmp_path / "records",
        rows(),
        TOKENIZER,
        shards=shards,
        settings={"seed": 7},
        progress=lambda *c: calls.append(c),
    )
    found = read_records(tmp_path / "records", TOKENIZER)
    assert found.keys() == rows().keys()
    for name, array in rows().items():
        assert found[name].dtype == np.int32
        np.testing.assert_array_equal(found[name], array)
    assert manifest == read_manifest(tmp_path / "records")
    assert manifest["rows"] == 11 and manifest["tokens"] == rows()["attention_mask"].sum()
    assert manifest["settings"] == {"seed": 7} and len(manifest["shards"]) == shards == len(calls)
    assert calls[-1] == (11, 11)
    assert len([*(tmp_path / "records").iterdir()]) == shards + 1


def test_nothing_is_left_of_what_failed(tmp_path):
    def fail(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_records(tmp_path / "records", rows(), TOKENIZER, shards=3, progress=fail)
    assert not [*tmp_path.iterdir()]


def test_records_of_another_tokenizer_are_refused(tmp_path):
    write_records(tmp_path, rows(), TOKENIZER)
    with pytest.raises(ValueError, match="was made with another tokenizer"):
        read_records(tmp_path, CharTokenizer("abcdefgh"))


def test_tokenizers_are_told_apart():
    vocab = {"[UNK]": 0, "a": 1, "b": 2}
    tokenizers = [
        TOKENIZER,
        CharTokenizer("abcdegf"),
        WordPieceTokenizer(vocab),
        WordPieceTokenizer(vocab, lowercase=False),
        WordPieceTokenizer({"[UNK]": 0, "b": 1, "a": 2}),
        BPETokenizer(vocab, []),
    ]
    assert len({fingerprint(tokenizer) for tokenizer in tokenizers}) == len(tokenizers)
    assert fingerprint(WordPieceTokenizer(vocab, model_max_length=7)) == fingerprint(WordPieceTokenizer(vocab))


def test_damaged_records_are_errors(tmp_path):
    with pytest.raises(ValueError, match="there are no records in"):
        read_records(tmp_path, TOKENIZER)
    manifest = write_records(tmp_path, rows(), TOKENIZER, shards=2)
    shard = tmp_path / manifest["shards"][1]["file"]
    data = shard.read_bytes()
    for damaged in (data[:-3], data[:40] + bytes([data[40] ^ 1]) + data[41:]):
        shard.write_bytes(damaged)
        with pytest.raises(ValueError, match="is damaged"):
            read_records(tmp_path, TOKENIZER)
    shard.write_bytes(b"")
    with pytest.raises(ValueError, match="has 6 rows, and its manifest says 11"):
        read_records(tmp_path, TOKENIZER)
    shard.unlink()
    with pytest.raises(ValueError, match="is damaged"):
        read_records(tmp_path, TOKENIZER)
    (tmp_path / "manifest.json").write_text(json.dumps({"rows": 11}))
    with pytest.raises(ValueError, match=r"manifest.json is damaged"):
        read_records(tmp_path, TOKENIZER)


def test_places_and_numbers_that_do_not_do(tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file"):
        with pytest.raises(ValueError, match="exists and is not empty"):
            write_records(place, rows(), TOKENIZER)
    for shards in (0, 12):
        with pytest.raises(ValueError, match=r"`shards` must lie in \[1, 11\]"):
            write_records(tmp_path / "new", rows(), TOKENIZER, shards=shards)
