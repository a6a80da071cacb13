"""`keras-tx prepare`: the records are those that the functions make, and errors leave nothing behind."""

import numpy as np
import pytest
from program import run

from keras_tx.text import WordPieceTokenizer
from keras_tx.training.data.documents import Documents, pack, read_documents
from keras_tx.training.data.records import read_manifest, read_records
from keras_tx.training.data.sentence_pairs import sentence_pairs

TEXT = "the cat sat\non the mat\n\nthe rat sat on\nthe cat\na mat\n\nthe end\nof the rat\n"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    tokenizer = WordPieceTokenizer.train([TEXT] * 3, 61)
    directory = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save_pretrained(directory)
    return directory, tokenizer


def test_prepare(tokenizer, tmp_path, capsys):
    directory, found = tokenizer
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for path in paths:
        path.write_text(TEXT)
    documents = Documents.of(read_documents(paths), found)
    text = [argument for path in paths for argument in ("--text", path)]
    expected = {"packed": pack(documents, found, 13), "pairs": sentence_pairs(documents, found, 13, seed=5)}
    for kind, rows in expected.items():
        options = ["--rows", kind, "--max-length", "13", "--shards", "3", "--seed", "5"]
        assert run("prepare", directory, tmp_path / kind, *text, *options) == 0
        records = read_records(tmp_path / kind, found)
        assert records.keys() == rows.keys()
        for name in rows:
            np.testing.assert_array_equal(records[name], rows[name])
        manifest = read_manifest(tmp_path / kind)
        settings = {"rows": kind, "max_length": 13, "seed": 5, "text": list(map(str, paths))}
        assert manifest["settings"] == settings and len(manifest["shards"]) == 3
        assert f"6 documents, {len(documents.ids)} tokens; {manifest['rows']} rows of 13" in capsys.readouterr().out


def test_errors(tokenizer, tmp_path, fails):
    directory, _ = tokenizer
    (tmp_path / "text").write_text(TEXT)
    text, output = ("--text", tmp_path / "text"), tmp_path / "records"
    assert "give --text or --dataset, one of them" in fails("prepare", directory, output)
    assert "--text: cannot read" in fails("prepare", directory, output, "--text", tmp_path / "none")
    assert "TOKENIZER: " in fails("prepare", tmp_path / "none", output, *text)
    assert "--rows: `max_length` is 2" in fails("prepare", directory, output, *text, "--max-length", "2")
    assert "`shards` must lie in" in fails("prepare", directory, output, *text, "--shards", "99")
    assert not output.exists()
    assert "exists and is not empty" in fails("prepare", directory, tmp_path, *text)
