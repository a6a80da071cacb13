"""The WordPiece tokenizer: what Transformers' BERT tokenizer gives, in Python and in every kind of TensorFlow graph."""

import json
import random
import shutil
import sys
import unicodedata
from functools import cache

import numpy as np
import pytest
import tensorflow as tf
import tokenizers
from tokenizer_helpers import PIECES, WAYS, in_every_way
from tokenizer_helpers import WORDPIECE as GOLDEN

from keras_tx.text import AddedToken, WordPieceTokenizer, load_tokenizer
from keras_tx.text.wordpiece.files import compose

NAMES = ("uncased", "cased", "added")
AWKWARD = [*PIECES, "[MASK]", "[CLS]", "[mask]", "##", "##a", "[", "字a", "a" * 101, "é" * 51]


@cache
def ours(name: str) -> WordPieceTokenizer:
    return WordPieceTokenizer.from_pretrained(GOLDEN / name)


@cache
def expected() -> dict:
    return json.loads((GOLDEN / "expected.json").read_text())


def peer_of(tokenizer: WordPieceTokenizer) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_str(json.dumps(compose(tokenizer)))


def assert_equal_to_the_peer(tokenizer, texts):
    """Ids, words and offsets."""
    rows = tokenizer.tokenize_with_offsets(tf.constant(texts)).to_list()
    for text, row, theirs in zip(texts, rows, peer_of(tokenizer).encode_batch(texts, False, False), strict=True):
        found = zip(theirs.ids, theirs.word_ids, theirs.offsets, strict=True)
        assert row == [[i, word, *offsets] for i, word, offsets in found], ascii(text)


@pytest.mark.parametrize("name", NAMES)
def test_transformers_ids_offsets_words_and_texts(name):
    """Of the strings of the golden set; see tests/golden/make_wordpiece.py."""
    strings, golden, tokenizer = expected()["strings"], expected()[name], ours(name)
    assert len(strings) > 250
    batch = tokenizer(strings, return_offsets_mapping=True)
    for i, ids in enumerate(golden["ids"]):
        here = slice(len(ids))
        assert batch["input_ids"][i, here].tolist() == ids, strings[i]
        assert batch["offset_mapping"][i, here].tolist() == golden["offsets"][i], strings[i]
        assert batch["word_ids"][i, here].tolist() == golden["words"][i], strings[i]
        assert batch["attention_mask"][i].sum() == len(ids)
    assert [tokenizer.encode(text) for text in strings[::29]] == golden["ids"][::29]
    assert [tokenizer.decode(ids) for ids in golden["ids"]] == golden["texts"]
    assert [tokenizer.decode(ids, skip_special_tokens=True) for ids in golden["ids"]] == golden["bare"]
    shown = tokenizer.detokenize(tf.ragged.constant(golden["ids"], dtype="int32"))
    assert [text.decode() for text in shown.numpy()] == golden["texts"]


@pytest.mark.parametrize("run", in_every_way("uncased", long=("cased", "added")))
def test_every_way_to_run_gives_the_same(run, tmp_path):
    way, name = run
    tokenize = WAYS[way](ours(name), tmp_path)
    rows = tokenize(tf.constant(expected()["strings"]))
    assert rows.dtype == tf.int32
    assert rows.to_list() == [ids[1:-1] for ids in expected()[name]["ids"]]
    for texts in ([""], ["", "a", ""], ["[MASK]"]):
        theirs = [peer_of(ours(name)).encode(text, add_special_tokens=False).ids for text in texts]
        assert tokenize(tf.constant(texts, tf.string)).to_list() == theirs


@pytest.mark.parametrize("name", NAMES)
def test_texts_put_together_of_awkward_pieces(name):
    draw = random.Random(5)
    assert_equal_to_the_peer(ours(name), ["".join(draw.choices(AWKWARD, k=draw.randrange(1, 23))) for _ in range(4001)])


@pytest.mark.parametrize("name", NAMES)
def test_prose_and_code(name):
    lines = [line for _, text in expected()["long"] for line in text.split("\n")]
    code = (GOLDEN.parent / "make_wordpiece.py").read_text()
    assert_equal_to_the_peer(ours(name), [*lines, *code.split("\n"), code])


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"lowercase": False, "strip_accents": True}])
def test_every_code_point(options):
    """Each that is assigned, where words begin and within them; a vocabulary of all letters shows what it became."""
    points = [chr(c) for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
    points = [c for c in points if not "\u4e11" <= c <= "\u9f00" and not "\u3500" <= c <= "\u4d00" and c < "\U00020100"]
    points += ["\ue000", "\uffff", "\U0003ffff", "\U000f0000", "\U0010ffff"]
    normal = "".join(map(ours("uncased").normalization, points)) + "".join(points) + "".join(map(str.lower, points))
    letters = sorted({*normal, *unicodedata.normalize("NFD", normal)})
    pieces = ["[UNK]", *letters, *(f"##{c}" for c in letters)]
    tokenizer = WordPieceTokenizer({piece: i for i, piece in enumerate(pieces)}, **options)
    words = [f"a{c}{'b' * (i % 2)} {c}" for i, c in enumerate(points)]
    assert_equal_to_the_peer(tokenizer, [" ".join(words[i : i + 23]) for i in range(0, len(words), 23)])


@pytest.mark.parametrize("options", [{"clean_text": False}, {"clean_text": False, "handle_chinese_chars": False}])
def test_other_normalizations(options):
    tokenizer = WordPieceTokenizer(ours("uncased").vocab, **options)
    draw = random.Random(3)
    assert_equal_to_the_peer(tokenizer, ["".join(draw.choices(AWKWARD, k=11)) for _ in range(701)])


def test_longest_match_on_random_vocabularies():
    """Words of three letters, where pieces overlap in every way and many words are unknown."""
    draw = random.Random(7)
    for size in (7, 31):
        pieces = {"".join(draw.choices("abc", k=draw.randrange(1, 7))) for _ in range(size)}
        pieces |= {f"##{''.join(draw.choices('abc', k=draw.randrange(1, 7)))}" for _ in range(size)}
        vocab = {piece: i for i, piece in enumerate(["[UNK]", *sorted(pieces)])}
        tokenizer = WordPieceTokenizer(vocab, max_input_chars_per_word=29)
        texts = [" ".join("".join(draw.choices("abc", k=draw.randrange(1, 37))) for _ in range(7)) for _ in range(301)]
        assert_equal_to_the_peer(tokenizer, texts)


def test_no_texts():
    assert ours("uncased").tokenize(tf.constant([], tf.string)).to_list() == []
    assert ours("uncased")([])["token_type_ids"].shape == (0, 0)


def test_what_is_not_utf8_goes():
    tokenizer = ours("uncased")
    assert tokenizer.tokenize(tf.constant([b"the\xe4\xb8 m\xffod", b"\xff"])).to_list() == [
        tokenizer.encode("the mod", add_special_tokens=False),
        [],
    ]
    [row] = tokenizer.tokenize_with_offsets(tf.constant([b"\xff the"])).to_list()
    assert row[-1][2:] == [2, 5]  # a byte that is no character counts as one
    with pytest.raises(ValueError, match="lone surrogate"):
        tokenizer.encode("a\udcff")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [list, tf.constant])
def test_pairs_as_transformers_cuts_them(name, kind):
    for (first, second, truncation, length), row in expected()[name]["pairs"]:
        options = {"truncation": truncation, "max_length": length}
        if not row:
            with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="leaves no room for the text"):
                ours(name)(kind([first]), kind([second]), **options)
            continue
        batch = ours(name)(kind([first]), kind([second]), **options)
        found = [np.array(batch[key])[0].tolist() for key in ("input_ids", "token_type_ids")]
        assert found == row, (first, second, options)


@pytest.mark.parametrize("name", NAMES)
def test_windows_as_transformers_makes_them(name):
    golden, texts = expected()[name], list(zip(*expected()["long"], strict=True))
    options = {"truncation": "only_second", "max_length": 41, "stride": 13, "return_overflowing_tokens": True}
    batch = ours(name)(*map(list, texts), **options, return_offsets_mapping=True)
    assert batch["overflow_to_sample_mapping"].tolist() == golden["samples"]
    for key, rows in golden["windows"].items():
        for found, mask, row in zip(batch[key], batch["attention_mask"], rows, strict=True):
            assert found[mask == 1].tolist() == row
            assert not found[mask == 0].any()
    tensors = ours(name)(*map(tf.constant, texts), **options, return_offsets_mapping=True)
    for key, values in batch.items():
        np.testing.assert_array_equal(tensors[key], values)


def test_pairs_in_a_data_set_have_static_lengths():
    pairs = tf.data.Dataset.from_tensor_slices((["the a", "b", ""], ["module", "in the", "of"])).batch(2)
    options = {"truncation": True, "max_length": 7, "padding": "max_length", "padding_side": "left"}
    data = pairs.map(lambda first, second: ours("uncased")(first, second, **options))
    assert {tuple(spec.shape) for spec in data.element_spec.values()} == {(None, 7)}
    direct = ours("uncased")(["the a", "b"], ["module", "in the"], **options)
    for key, values in next(iter(data)).items():
        np.testing.assert_array_equal(values, direct[key])
    assert list(direct) == ["input_ids", "token_type_ids", "attention_mask"]


def test_sides():
    first, second = "the module", "a b c d e f"
    cut = {"truncation": "only_second", "max_length": 13}
    tokenizer, peer = ours("uncased"), peer_of(ours("uncased"))
    for side in ("left", "right"):
        peer.enable_truncation(13, strategy="only_second", direction=side)
        assert tokenizer([first], [second], **cut, truncation_side=side)["input_ids"][0].tolist() == (
            peer.encode(first, second).ids
        )
    right, left = (tokenizer([first, "a"], padding_side=side)["input_ids"][1].tolist() for side in ("right", "left"))
    ids = tokenizer.encode("a")
    assert right == ids + [0] * (len(right) - len(ids)) and left == [0] * (len(left) - len(ids)) + ids
    assert tokenizer.encode(first, second) == peer_of(tokenizer).encode(first, second).ids


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"truncation": "first"}, "`truncation` must be a bool or one of"),
        ({"stride": 3}, "`stride` is 3, and means nothing without"),
        ({"return_overflowing_tokens": True}, "needs `truncation`"),
        ({"return_overflowing_tokens": True, "truncation": True, "max_length": 9}, "of a pair one text alone"),
        ({"truncation": True, "max_length": 4}, "`max_length` is 4, and 3 special tokens"),
        ({"text_pairs": ["a", "b"]}, "`texts` are 1 and `text_pairs` 2"),
    ],
)
def test_arguments_that_do_not_fit_together(arguments, message):
    with pytest.raises(ValueError, match=message):
        ours("uncased")(["the"], **{"text_pairs": ["a"], **arguments})


def test_a_stride_that_leaves_no_step():
    options = {"truncation": "only_first", "max_length": 9, "return_overflowing_tokens": True}
    with pytest.raises(ValueError, match="`stride` is 5, no less than what a row of 9 tokens"):
        ours("uncased")(["a b c d e f g h i"], ["the"], stride=5, **options)
    assert ours("uncased")(["a"], ["the"], stride=5, **options)["input_ids"].shape[0] == 1  # nothing to be cut


# === Files ===


@pytest.mark.parametrize("name", NAMES)
def test_written_and_read(name, tmp_path):
    ours(name).save_pretrained(tmp_path)
    again = load_tokenizer(tmp_path)
    assert isinstance(again, WordPieceTokenizer)
    for attribute in (
        "vocab",
        "added_tokens",
        "special_tokens",
        "normalization",
        "template",
        "model_input_names",
        "unk_token",
    ):
        assert getattr(again, attribute) == getattr(ours(name), attribute), attribute
    assert (again.model_max_length, again.mask_token_id, again.cls_token_id) == (
        97 if name == "added" else None,
        *(again.vocab[token] for token in ("[MASK]", "[CLS]")),
    )
    (tmp_path / "tokenizer.json").unlink()  # the plain layout alone
    again = load_tokenizer(tmp_path)
    assert again.normalization == ours(name).normalization and again.added_tokens == ours(name).added_tokens
    assert again.encode("The [MASK] é", "New York") == ours(name).encode("The [MASK] é", "New York")


def test_older_post_processors(tmp_path):
    content = compose(ours("uncased"))
    content["post_processor"] = {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    assert load_tokenizer(tmp_path).encode("a", "the") == ours("uncased").encode("a", "the")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"normalizer": {"type": "Lowercase"}}, "the normalizer .*Lowercase.* is not BERT's"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "the pre-tokenizer .*Whitespace"),
        ({"post_processor": {"type": "Mystery"}}, "the post-processor 'Mystery' is not supported"),
        ({"model": {"type": "WordPiece", "continuing_subword_prefix": "@@"}}, "`continuing_subword_prefix` '@@'"),
        ({"model": {"type": "WordPiece", "unk_token": "[UNK]"}}, "'vocab' is missing"),
    ],
)
def test_files_that_we_cannot_follow(change, message, tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps({**compose(ours("uncased")), **change}))
    with pytest.raises(ValueError, match=message):
        load_tokenizer(tmp_path)


def test_plain_files_that_are_damaged(tmp_path):
    directory = shutil.copytree(GOLDEN / "uncased", tmp_path / "uncased")
    (directory / "vocab.txt").write_text("[PAD]\n[UNK]\nthe\n")
    with pytest.raises(ValueError, match=r"has no token '\[SEP\]', the tokenizer's `sep_token`"):
        load_tokenizer(directory)
    with pytest.raises(ValueError, match=r"has neither tokenizer.json nor vocab.txt"):
        WordPieceTokenizer.from_pretrained(tmp_path)


def test_training(tmp_path):
    text = "The cat sat on the mat, the rat sat on the Cat\n" * 7
    (tmp_path / "text").write_text(text, encoding="utf-8")
    tokenizer = WordPieceTokenizer.train([tmp_path / "text"], 53, model_max_length=11)
    assert tokenizer.vocab_size <= 53 and tokenizer.tokens[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert (tokenizer.pad_token_id, tokenizer.mask_token_id, tokenizer.model_max_length) == (0, 4, 11)
    assert tokenizer.decode(tokenizer.encode("The CAT, sat")) == "[CLS] the cat, sat [SEP]"
    cased = WordPieceTokenizer.train([text], 53, lowercase=False)
    assert cased.decode(cased.encode("The Cat", add_special_tokens=False)) == "The Cat"


def test_normalized_added_tokens_are_found_in_normalized_text():
    pieces = ["[UNK]", *"abcdefgh", *(f"##{c}" for c in "abcdefgh")]
    tokens = [
        AddedToken(17 + i, content, special=False, normalized=True) for i, content in enumerate(["É", "字 B", "ab"])
    ]
    tokenizer = WordPieceTokenizer({piece: i for i, piece in enumerate(pieces)}, added_tokens=tokens)
    draw = random.Random(3)
    texts = ["".join(draw.choices(["é", "E", "e\u0301", "字", " ", "b", "B", "a", "\u0301"], k=13)) for _ in range(601)]
    assert_equal_to_the_peer(tokenizer, texts)


def test_the_usual_form_of_characters_before_all_else(tmp_path):
    """NFKC before BERT's rules, as Japanese and Chinese models have it."""
    content = compose(ours("uncased"))
    content["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFKC"}, content["normalizer"]]}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    tokenizer = load_tokenizer(tmp_path)
    draw = random.Random(3)
    pieces = [
        *AWKWARD,
        "\uff21\uff42",
        "\u2460",
        "\ufb01",
        "\uff5c",
        "\u3231",
        "\u1100\u1161\u11a8",
        "\ud55c",
        "\u00bd",
    ]
    texts = ["".join(draw.choices(pieces, k=draw.randrange(1, 13))) for _ in range(2001)]
    rows = peer_of(tokenizer).encode_batch(texts, add_special_tokens=False)
    assert tokenizer.tokenize(tf.constant(texts)).to_list() == [row.ids for row in rows]
    tokenizer.save_pretrained(tmp_path / "saved")
    assert load_tokenizer(tmp_path / "saved").normalization == tokenizer.normalization
    content["normalizer"]["normalizers"][1]["lowercase"] = False
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="`nfkc=True` joins letters and accents"):
        load_tokenizer(tmp_path)


def test_a_vocabulary_with_a_token_twice(tmp_path):
    """The last line of a token counts, as for Transformers."""
    lines = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "a", "the", "b"]
    (tmp_path / "vocab.txt").write_text("\n".join(lines) + "\n")
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.encode("The a b [repeated5]") == [2, 7, 6, 8, 1, 1, 1, 3] and tokenizer.vocab_size == 9
    tokenizer.save_pretrained(tmp_path / "saved")
    (tmp_path / "saved" / "tokenizer.json").unlink()
    assert load_tokenizer(tmp_path / "saved").encode("The a b") == [2, 7, 6, 8, 3]
