"""Records: written whole or not at all, read with the tokenizer that made them alone."""

import json

import numpy as np
import pytest
import tensorflow as tf

from keras_tx.text import BPETokenizer, CharTokenizer, WordPieceTokenizer
from keras_tx.training.data.records import Records, fingerprint, read_manifest, read_records, write_records

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
    assert len([*(tmp_path / "records").iterdir()]) == shards + 2


def test_shards_are_files_of_tfrecords(tmp_path):
    manifest = write_records(tmp_path, rows(), TOKENIZER, shards=3)
    data = tf.data.TFRecordDataset([str(tmp_path / shard["file"]) for shard in manifest["shards"]])
    features = [tf.train.Example.FromString(example).features.feature for example in data.as_numpy_iterator()]
    assert [list(feature["input_ids"].int64_list.value) for feature in features] == rows()["input_ids"].tolist()


@pytest.mark.parametrize("shards", [1, 3])
def test_rows_are_read_at_any_place(shards, tmp_path):
    write_records(tmp_path, rows(), TOKENIZER, shards=shards)
    records = Records(tmp_path, TOKENIZER)
    assert len(records) == 11 and records.features == {
        "input_ids": (5,),
        "attention_mask": (5,),
        "next_sentence_label": (),
    }
    places = np.array([[10, 0], [7, 7], [3, 4]])
    for found, wanted in zip(taken(records, places), places, strict=True):
        assert found.keys() == rows().keys()
        for name, array in rows().items():
            assert found[name].dtype == np.int32 and found[name].shape == array[wanted].shape
            np.testing.assert_array_equal(found[name], array[wanted])


def taken(records, places) -> list[dict[str, np.ndarray]]:
    data = records.batches(tf.data.Dataset.from_tensor_slices(places), places.shape[1])
    return list(data.as_numpy_iterator())


def test_nothing_is_left_of_what_failed(tmp_path):
    def fail(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_records(tmp_path / "records", rows(), TOKENIZER, shards=3, progress=fail)
    assert not [*tmp_path.iterdir()]


def test_records_of_another_tokenizer_are_refused(tmp_path):
    write_records(tmp_path, rows(), TOKENIZER)
    for read in (Records, read_records):
        with pytest.raises(ValueError, match="was made with another tokenizer"):
            read(tmp_path, CharTokenizer("abcdefgh"))


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
    for damaged in (data[:-3], b""):
        shard.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"rows-00001-of-00002.tfrecord is damaged: prepare the records anew"):
            Records(tmp_path, TOKENIZER)
    shard.unlink()
    with pytest.raises(ValueError, match=r"rows-00001-of-00002.tfrecord is missing: prepare the records anew"):
        Records(tmp_path, TOKENIZER)
    shard.write_bytes(data)
    index = (tmp_path / "index.npy").read_bytes()
    for damaged in (index[:-8], b"", index[:60]):
        (tmp_path / "index.npy").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"index.npy is damaged"):
            Records(tmp_path, TOKENIZER)
    np.save(tmp_path / "index.npy", np.zeros(10, "int64"))
    with pytest.raises(ValueError, match=r"index.npy is damaged"):
        Records(tmp_path, TOKENIZER)
    (tmp_path / "index.npy").unlink()
    with pytest.raises(ValueError, match=r"index.npy is missing"):
        Records(tmp_path, TOKENIZER)
    (tmp_path / "manifest.json").write_text(json.dumps({"rows": 11}))
    with pytest.raises(ValueError, match=r"manifest.json is damaged"):
        Records(tmp_path, TOKENIZER)


def test_only_what_is_asked_for_is_read(tmp_path):
    """A row that is damaged is an error when its turn comes, and no sooner."""
    manifest = write_records(tmp_path, rows(), TOKENIZER, shards=2)
    shard = tmp_path / manifest["shards"][1]["file"]  # rows 6 to 10
    data = bytearray(shard.read_bytes())
    data[40] ^= 1
    shard.write_bytes(data)
    records = Records(tmp_path, TOKENIZER)
    others = np.array([[0, 1, 2, 3, 4, 5, 7, 8, 9, 10]])
    np.testing.assert_array_equal(taken(records, others)[0]["input_ids"], rows()["input_ids"][others[0]])
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{tmp_path} is damaged: prepare the records anew"):
        taken(records, np.array([[5, 6]]))
    with pytest.raises(ValueError, match=f"{tmp_path} is damaged: prepare the records anew"):
        read_records(tmp_path, TOKENIZER)


def test_places_and_numbers_that_do_not_do(tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file"):
        with pytest.raises(ValueError, match="exists and is not empty"):
            write_records(place, rows(), TOKENIZER)
    for shards in (0, 12):
        with pytest.raises(ValueError, match=r"`shards` must lie in \[1, 11\]"):
            write_records(tmp_path / "new", rows(), TOKENIZER, shards=shards)
