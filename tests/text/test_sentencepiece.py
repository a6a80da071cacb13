"""The SentencePiece tokenizer: what Transformers' T5 tokenizer and its kin give, in every kind of TensorFlow graph."""

import json
import random
from functools import cache

import pytest
import tensorflow as tf
import tokenizers
from tokenizer_helpers import GOLDEN, PIECES, WAYS, in_every_way

from keras_tx.text import AddedToken, SentencePieceTokenizer, load_tokenizer
from keras_tx.text.graph.charsmap import parse_charsmap
from keras_tx.text.graph.metaspace import Metaspace
from keras_tx.text.graph.normalizers import BlankRuns, EachCharacter, Prepend, Replace, Strip
from keras_tx.text.graph.piece_text import PieceText
from keras_tx.text.sentencepiece.files import compose

DIRECTORY = GOLDEN.parent / "sentencepiece"
NAMES = ("t5", "rules", "version_4", "bytes", "bpe", "bpe_bytes")
MARKS = [
    "\u0301",
    "\u0302",
    "\u0308",
    "\u3099",
    "\u0600",
    "\u200d",
    "\u200b",
    "\x01",
    "\u1100",
    "\u1161",
    "\u11a8",
    "\u094d",
]
AWKWARD = [
    *(
        *PIECES,
        *MARKS,
        *MARKS,
        "▁",
        "▁▁",
        "ﬁ",
        "①",
        "½",
        "か",
        "e",
        "A",
        "ß",
        "㍿",
        "<extra_id_0>",
        "<extra_id_1>",
        "<extra",
    ),
    *("</s>", "<mask>", "<0x41>", "aaa", "==", "the ", "of", "in", "don't", "``", "©", "™", "\u0915", "\u0958", "Ａ"),  # noqa: RUF001
]


@cache
def ours(name: str) -> SentencePieceTokenizer:
    return SentencePieceTokenizer.from_pretrained(DIRECTORY / name)


@cache
def expected() -> dict:
    return json.loads((DIRECTORY / "expected.json").read_text())


def peer_of(tokenizer: SentencePieceTokenizer) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_str(json.dumps(compose(tokenizer)))


def assert_equal_to_the_peer(tokenizer, texts):
    """Ids, words and offsets."""
    rows = tokenizer.tokenize_with_offsets(tf.constant(texts)).to_list()
    for text, row, theirs in zip(texts, rows, peer_of(tokenizer).encode_batch(texts, False, False), strict=True):
        found = zip(theirs.ids, theirs.word_ids, theirs.offsets, strict=True)
        assert row == [[i, word, *offsets] for i, word, offsets in found], ascii(text)


def drawn(count: int, pieces=AWKWARD, seed: int = 5) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices(pieces, k=draw.randrange(1, 19))) for _ in range(count)]


@pytest.mark.parametrize("name", NAMES)
def test_transformers_ids_offsets_words_and_texts(name):
    """Of the strings of the golden set; see tests/golden/make_sentencepiece.py."""
    strings, golden, tokenizer = expected()["strings"], expected()[name], ours(name)
    assert len(strings) > 290
    batch = tokenizer(strings, return_offsets_mapping=True)
    for i, ids in enumerate(golden["ids"]):
        here = slice(len(ids))
        assert batch["input_ids"][i, here].tolist() == ids, ascii(strings[i])
        assert batch["offset_mapping"][i, here].tolist() == golden["offsets"][i], ascii(strings[i])
        assert batch["word_ids"][i, here].tolist() == golden["words"][i], ascii(strings[i])
        assert batch["attention_mask"][i].sum() == len(ids)
    assert [tokenizer.encode(text) for text in strings[::31]] == golden["ids"][::31]
    assert [tokenizer.encode(*pair) for pair in expected()["asked"]] == golden["pairs"]
    assert [tokenizer.decode(ids) for ids in golden["ids"]] == golden["texts"]
    assert [tokenizer.decode(ids, skip_special_tokens=True) for ids in golden["ids"]] == golden["bare"]
    shown = tokenizer.detokenize(tf.ragged.constant(golden["ids"], dtype="int32", ragged_rank=1))
    for text, theirs in zip(shown.numpy(), golden["texts"], strict=True):
        assert "\ufffd" in theirs or text.decode() == theirs


@pytest.mark.slow
@pytest.mark.parametrize("run", in_every_way("t5", long=("bpe_bytes",)))
def test_every_way_to_run_gives_the_same(run, tmp_path):
    way, name = run
    tokenize = WAYS[way](ours(name), tmp_path)
    strings = expected()["strings"]
    rows = tokenize(tf.constant(strings))
    assert rows.dtype == tf.int32
    theirs = [row.ids for row in peer_of(ours(name)).encode_batch(strings, False, False)]
    assert rows.to_list() == theirs
    for texts in ([""], ["", "a", ""], ["<unk>"], [" "]):
        theirs = [peer_of(ours(name)).encode(text, add_special_tokens=False).ids for text in texts]
        assert tokenize(tf.constant(texts, tf.string)).to_list() == theirs


@pytest.mark.parametrize("name", NAMES)
def test_texts_put_together_of_awkward_pieces(name):
    assert_equal_to_the_peer(ours(name), drawn(1009))


def test_unigrams_on_a_random_vocabulary():
    """Words of three letters, where pieces overlap in every way and many are as good; one letter more is unknown."""
    draw = random.Random(7)
    found = {"".join(draw.choices("abc", k=draw.randrange(1, 6))) for _ in range(61)} | {"▁"}
    vocab = {piece: i for i, piece in enumerate(["<unk>", *sorted(found)])}
    scores = [draw.choice([-1.0, -2.0, -3.1, round(draw.uniform(-9, 0), 3)]) for _ in vocab]
    tokenizer = SentencePieceTokenizer(vocab, scores=scores)
    assert_equal_to_the_peer(tokenizer, drawn(1009, ["a", "b", "c", "d", " ", "aa"]))


@pytest.mark.parametrize(
    ("normalizers", "words"),
    [
        ((EachCharacter("Lowercase"), BlankRuns("▁"), Strip(left=True, right=True)), Metaspace(False, "first")),
        ((Replace("``", '"'), Replace("a", ""), Replace("é", "e\u0301e"), EachCharacter("Nmt"), Prepend("ab")), None),
    ],
)
def test_normalizers(normalizers, words):
    letters = sorted({c for piece in AWKWARD for c in piece} - {"☃"})
    vocab = {piece: i for i, piece in enumerate(["<unk>", *letters])}
    options = {"normalizers": normalizers, "words": words, "added_tokens": [AddedToken(0, "<unk>")]}
    tokenizer = SentencePieceTokenizer(vocab, scores=[-1.0] * len(vocab), **options)
    assert_equal_to_the_peer(tokenizer, drawn(701, seed=3))


@pytest.mark.slow
def test_small_clusters_of_every_character():
    """Each one that the rules join to others, beside one that has a rule."""
    rules = ours("rules").normalizers
    letters = sorted(set(parse_charsmap(rules[0].precompiled).values()) - {""})
    vocab = {piece: i for i, piece in enumerate(["<unk>", *letters, "a", "①", "ﬁ"])}
    tokenizer = SentencePieceTokenizer(vocab, scores=[-1.0] * len(vocab), normalizers=rules, words=None)
    points = [chr(c) for c in range(1, 0x20000, 3) if not 0xD800 <= c < 0xE000 and not 0x3400 < c < 0x9F00]
    assert_equal_to_the_peer(tokenizer, [f"a{c}ﬁ{c}" for c in points] + [f"①{c}\u0301" for c in points])


@pytest.mark.parametrize("name", NAMES)
def test_pairs_truncation_and_padding(name):
    tokenizer, peer = ours(name), peer_of(ours(name))
    first, second = "the module of", "in which the <unk> is ☃"
    peer.enable_truncation(11)
    batch = tokenizer([first, "a"], [second, "b"], truncation=True, max_length=11, padding="max_length")
    for row, mask, pair in zip(batch["input_ids"], batch["attention_mask"], [(first, second), ("a", "b")], strict=True):
        assert row[mask == 1].tolist() == peer.encode(*pair).ids
        assert (row[mask == 0] == tokenizer.pad_token_id).all()
    assert batch["input_ids"].shape == (2, 11) and list(batch) == ["input_ids", "attention_mask"]
    if tokenizer.template.suffix:
        assert tokenizer.encode("a")[-1] == tokenizer.eos_token_id


def test_bytes_that_are_not_utf8():
    tokenizer = ours("t5")
    assert tokenizer.tokenize(tf.constant([b"the\xff"])).to_list() == [
        tokenizer.encode("the\ufffd", add_special_tokens=False)
    ]
    with pytest.raises(ValueError, match="lone surrogate"):
        tokenizer.encode("a\udcff")
    assert tokenizer.tokenize(tf.constant([], tf.string)).to_list() == []


def test_sentinels_descend_from_the_last_id():
    tokenizer = ours("t5")
    assert tokenizer.sentinel_ids == list(range(607, 600, -1)) and tokenizer.vocab_size == 608
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.model_max_length) == (0, 1, 97)
    assert tokenizer.decode(tokenizer.encode("a <extra_id_0> the")) == "a<extra_id_0> the</s>"


# === Files ===


@pytest.mark.parametrize("name", NAMES)
def test_written_and_read(name, tmp_path):
    ours(name).save_pretrained(tmp_path)
    again = load_tokenizer(tmp_path)
    assert isinstance(again, SentencePieceTokenizer)
    for attribute in ("vocab", "scores", "merges", "added_tokens", "special_tokens", "normalizers", "words", "text"):
        assert getattr(again, attribute) == getattr(ours(name), attribute), attribute
    for attribute in (
        "template",
        "model_input_names",
        "unk_token",
        "byte_fallback",
        "fuse_unk",
        "pad_token_id",
        "model_max_length",
    ):
        assert getattr(again, attribute) == getattr(ours(name), attribute), attribute
    named = json.loads((tmp_path / "tokenizer_config.json").read_text())["tokenizer_class"]
    assert named == ("T5Tokenizer" if name in ("t5", "rules") else "PreTrainedTokenizerFast")


def test_a_directory_with_a_model_of_bpe(tmp_path):
    """Read as Llama's, which puts a blank before the text alone, if there is none: else as the converted file."""
    pieces = sorted(ours("bpe_bytes").vocab, key=ours("bpe_bytes").vocab.__getitem__)
    types = [6 if piece.startswith("<0x") else {"<unk>": 2, "<s>": 3, "</s>": 3}.get(piece, 1) for piece in pieces]
    (tmp_path / "tokenizer.model").write_bytes(model_of(pieces, types, model_type=2, byte_fallback=1))
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.byte_fallback and tokenizer.merges == ours("bpe_bytes").merges
    assert tokenizer.words == Metaspace(False, "first", split=False)
    texts = [text for text in expected()["strings"] if "<" not in text and text[:1] not in " ▁"]
    found = tokenizer.tokenize(tf.constant(texts)).to_list()
    assert found == ours("bpe_bytes").tokenize(tf.constant(texts)).to_list()


def model_of(pieces, types, *, model_type: int, byte_fallback: int = 0) -> bytes:
    """A protocol buffer by hand."""

    def varint(n: int) -> bytes:
        return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)

    def field(number: int, value: int | bytes) -> bytes:
        if isinstance(value, int):
            return varint(number << 3) + varint(value)
        return varint(number << 3 | 2) + varint(len(value)) + value

    spelled = b"".join(field(1, field(1, p.encode()) + field(3, t)) for p, t in zip(pieces, types, strict=True))
    return spelled + field(2, field(3, model_type) + field(35, byte_fallback)) + field(3, field(1, b"identity"))


def test_gemmas_file(tmp_path):
    """It splits at blanks where none is left, and has a tab in place of its byte."""
    content = compose(ours("bpe_bytes"))
    vocab = content["model"]["vocab"]
    vocab["\t"] = vocab.pop("<0x09>")
    content["normalizer"] = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    pattern = {"pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    content["pre_tokenizer"] = {"type": "Split", **pattern}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    tokenizer, peer = load_tokenizer(tmp_path), tokenizers.Tokenizer.from_str(json.dumps(content))
    assert isinstance(tokenizer, SentencePieceTokenizer)
    texts = [*expected()["strings"][::7], "a\tb  c\t"]
    rows = tokenizer.tokenize(tf.constant(texts)).to_list()
    assert rows == [row.ids for row in peer.encode_batch(texts, add_special_tokens=False)]


def test_older_files(tmp_path):
    content = compose(ours("rules"))
    content["pre_tokenizer"]["pretokenizers"][1] = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}
    content["decoder"] = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}
    del content["model"]["type"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    again = load_tokenizer(tmp_path)
    assert again.scores and again.words == Metaspace() and again.text == PieceText() and again.eos_token_id == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"normalizer": {"type": "NFKC"}}, "the normalizer .*NFKC.* is none of SentencePiece's"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "the pre-tokenizer .*Whitespace"),
        ({"post_processor": {"type": "Mystery"}}, "the post-processor 'Mystery' is not supported"),
        ({"decoder": {"type": "BPEDecoder"}}, "the decoder .*BPEDecoder"),
        ({"model": {"type": "Unigram", "unk_id": 2}}, "'vocab' is missing"),
    ],
)
def test_files_that_we_cannot_follow(change, message, tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps({**compose(ours("rules")), **change}))
    with pytest.raises(ValueError, match=message):
        load_tokenizer(tmp_path)


def test_models_whose_pieces_have_other_ids(tmp_path):
    """XLM-RoBERTa's ids are not those of its SentencePiece model."""
    (tmp_path / "sentencepiece.bpe.model").write_bytes((DIRECTORY / "rules" / "spiece.model").read_bytes())
    with pytest.raises(ValueError, match=r"numbers its pieces otherwise .* name it as `tokenizer_class`"):
        load_tokenizer(tmp_path)


def test_models_that_are_damaged(tmp_path):
    with pytest.raises(ValueError, match=r"has neither tokenizer.json nor spiece.model"):
        SentencePieceTokenizer.from_pretrained(tmp_path)
    data = (DIRECTORY / "rules" / "spiece.model").read_bytes()
    for damaged in (data[:-7], b"", data[:101], b"no model"):
        (tmp_path / "spiece.model").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"spiece.model"):
            load_tokenizer(tmp_path)
    (tmp_path / "spiece.model").write_bytes(model_of(["<unk>", "a"], [2, 1], model_type=4))
    with pytest.raises(ValueError, match="of the type 4, with 1 unknown pieces: give a unigram or BPE"):
        load_tokenizer(tmp_path)
    (tmp_path / "spiece.model").write_bytes(model_of(["<unk>", "a"], [2, 1], model_type=1))
    with pytest.raises(ValueError, match="has no token '</s>', the tokenizer's `eos_token`"):
        load_tokenizer(tmp_path)
    with pytest.raises(ValueError, match="the precompiled character map is damaged"):
        parse_charsmap(b"\x04\x00\x00\x00\x00")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give `scores`, of a unigram model, or `merges`"),
        ({"scores": [0.0], "merges": []}, "give `scores`, of a unigram model, or `merges`"),
        ({"scores": [0.0]}, "`scores` must be of the first ids, those of 2 pieces; got 1"),
        ({"scores": [0.0, 0.0], "byte_fallback": True}, "`byte_fallback` names '<0x00>'"),
        ({"merges": [("a", "a")]}, "`merges` names 'aa', which is not in the vocabulary"),
        ({"merges": [], "unk_token": None}, "nothing else for characters without a piece"),
    ],
)
def test_tokenizers_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        SentencePieceTokenizer({"<unk>": 0, "a": 1}, **options)


# === Training ===


@pytest.mark.parametrize("model", ["unigram", "bpe"])
def test_training(model, tmp_path):
    text = "The cat sat on the mat, the rat sat on the Cat\n" * 7
    (tmp_path / "text").write_text(text, encoding="utf-8")
    options = {"model": model, "extra_ids": 5, "model_max_length": 11}
    tokenizer = SentencePieceTokenizer.train([tmp_path / "text", "a bat"], 53, **options)
    size = tokenizer.vocab_size
    assert size <= 53 and tokenizer.tokens[:3] == ["<pad>", "</s>", "<unk>"]
    assert tokenizer.sentinel_ids == list(range(size - 1, size - 6, -1)) and tokenizer.model_max_length == 11
    ids = tokenizer.encode("The cat sat<extra_id_4> on")
    assert ids[-1] == 1 and size - 5 in ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == "The cat sat on"
    assert_equal_to_the_peer(tokenizer, [*drawn(101), text])
    tokenizer.save_pretrained(tmp_path)
    assert load_tokenizer(tmp_path).tokens == tokenizer.tokens


def test_trainings_that_cannot_be():
    with pytest.raises(ValueError, match='`model` must be "unigram" or "bpe"'):
        SentencePieceTokenizer.train(["a"], 211, model="words")
    with pytest.raises(ValueError, match="`vocab_size` must hold 103 special tokens; got 103"):
        SentencePieceTokenizer.train(["a"], 103)
