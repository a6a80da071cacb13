"""The character tokenizer: the same ids in Python and in every kind of TensorFlow graph."""

import json
import random

import numpy as np
import pytest
import tensorflow as tf
from tokenizer_helpers import WAYS

from keras_tx import CharTokenizer

TEXTS = [
    "plain words\n",
    "emoji 👩‍👩‍👧‍👦🏽 and flags 🇺🇦",
    "combining e\u0301 is not é",
    "汉字かなカナ한글",
    "NUL\0, DEL\x7f, BOM\ufeff, replacement \ufffd, last \U0010ffff",
    "right to left אב ‏",
    "tab\tcr\r\nline\u2028",
]


@pytest.fixture(scope="module")
def tokenizer():
    """The alphabet in no order, so that an id is a place and not a rank."""
    characters = sorted(set("".join(TEXTS)))
    return CharTokenizer("".join(random.Random(3).sample(characters, len(characters))))


@pytest.fixture(params=WAYS)
def tokenize(request, tokenizer, tmp_path):
    return WAYS[request.param](tokenizer, tmp_path)


def test_ids_are_places_in_the_alphabet():
    tokenizer = CharTokenizer("bca")
    assert tokenizer.vocab_size == 3
    assert tokenizer.encode("abba") == [2, 0, 0, 2]
    assert tokenizer.decode(np.array([1, 2, 0])) == "cab"
    assert CharTokenizer.from_text("banana\n").characters == "\nabn"


def test_graphs_give_pythons_ids(tokenize, tokenizer):
    texts = [*TEXTS, "", "".join(sorted(set("".join(TEXTS))))]
    ids = tokenize(tf.constant([text.encode() for text in texts]))
    assert ids.dtype == tf.int32
    assert ids.to_list() == [tokenizer.encode(text) for text in texts]
    assert [text.decode() for text in tokenizer.detokenize(ids).numpy()] == texts


@pytest.mark.parametrize("text", TEXTS)
def test_text_to_ids_to_text_is_the_identity(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("text", ["Q", "no Ω here", "é\u0302", "👍"])
def test_unknown_characters_are_errors(tokenize, tokenizer, text):
    with pytest.raises(ValueError, match=r"the vocabulary has no '.'"):
        tokenizer.encode(text)
    with pytest.raises(tf.errors.InvalidArgumentError, match="characters outside the vocabulary"):
        tokenize(tf.constant(["plain", text]))


@pytest.mark.parametrize("data", [b"a\xff", b"\xc0\x80", b"\xed\xa0\x80", "e\u0301".encode()[:-1]])
def test_invalid_utf8_is_an_error_even_where_the_replacement_character_is_known(tokenize, data):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"[Ii]nvalid"):
        tokenize(tf.constant([data]))


def test_lone_surrogates_are_errors(tokenizer):
    with pytest.raises(ValueError, match=r"the vocabulary has no '\\udcff'"):
        tokenizer.encode("a\udcff")


@pytest.mark.parametrize("ids", [[0, -1], [3], np.array([1, 2, 3])])
def test_ids_outside_the_alphabet_are_errors(ids):
    with pytest.raises(ValueError, match=r"`ids` must lie in \[0, 3\); got"):
        CharTokenizer("abc").decode(ids)


@pytest.mark.parametrize(
    ("side", "ids", "mask"),
    [
        ("right", [[2, 1, 0], [1, 0, 0], [0, 0, 0]], [[1, 1, 1], [1, 0, 0], [0, 0, 0]]),
        ("left", [[2, 1, 0], [0, 0, 1], [0, 0, 0]], [[1, 1, 1], [0, 0, 1], [0, 0, 0]]),
    ],
)
@pytest.mark.parametrize("kind", ["python", "tensor"])
def test_padding(kind, side, ids, mask):
    texts = ["cba", "b", ""]
    batch = CharTokenizer("abc")(texts if kind == "python" else tf.constant(texts), padding_side=side)
    assert {type(value) for value in batch.values()} == {np.ndarray if kind == "python" else type(tf.constant(0))}
    assert {value.dtype for value in batch.values()} == {np.dtype("int32") if kind == "python" else tf.int32}
    np.testing.assert_array_equal(batch["input_ids"], ids)
    np.testing.assert_array_equal(batch["attention_mask"], mask)


def test_padding_side_must_be_one():
    with pytest.raises(ValueError, match='`padding_side` must be "left" or "right"; got \'middle\''):
        CharTokenizer("abc")("a", padding_side="middle")


def test_one_text_is_a_batch_of_one():
    np.testing.assert_array_equal(CharTokenizer("abc")("cab")["input_ids"], [[2, 0, 1]])


def test_saved_and_read(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "new" / "directory")
    assert CharTokenizer.from_pretrained(tmp_path / "new" / "directory").characters == tokenizer.characters


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"characters": "ab', "is not a JSON file"),
        ("[1]", "must hold"),
        ('{"characters": 3}', "must hold"),
        ('{"characters": ""}', "must not be empty"),
        (json.dumps({"characters": "aba"}), "repeats 'a'"),
    ],
)
def test_damaged_files_are_errors(tmp_path, content, message):
    (tmp_path / "char_tokenizer.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        CharTokenizer.from_pretrained(tmp_path)
