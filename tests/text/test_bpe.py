"""BPE tokenizers: Transformers' ids and texts, in Python and in every kind of TensorFlow graph."""

import json
import random
import sys
import unicodedata

import numpy as np
import pytest
import tensorflow as tf
import tokenizers
from tokenizer_helpers import NAMES, PIECES, WAYS, expected, in_every_way, ours, peer_of
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from keras_tx.text import AddedToken, BPETokenizer
from keras_tx.text.graph.added_tokens import mark_added_tokens
from keras_tx.text.graph.cl100k import PATTERN
from keras_tx.text.graph.merges import Merges


@pytest.fixture(scope="module", params=in_every_way("gpt2", "gpt1", long=("gpt2_added",)))
def run(request, tmp_path_factory):
    """A tokenizer's name, and its `tokenize` run in one of the ways."""
    way, name = request.param
    return name, WAYS[way](ours(name), tmp_path_factory.mktemp(way))


@pytest.mark.parametrize("name", NAMES)
def test_transformers_ids_and_texts(name):
    """Of the strings of the golden set; see tests/golden/make_tokenizers.py."""
    strings, golden = expected()["strings"], expected()[name]
    assert len(strings) > 230
    assert [ours(name).decode(ids) for ids in golden["ids"]] == golden["texts"]
    for text, ids in list(zip(strings, golden["ids"], strict=True))[::11]:  # all of them in the next test
        assert ours(name).encode(text) == ids, text


def test_every_way_to_run_gives_the_same(run):
    name, tokenize = run
    rows = tokenize(tf.constant(expected()["strings"]))
    assert rows.dtype == tf.int32 and rows.shape.rank == 2
    assert rows.to_list() == expected()[name]["ids"]


def test_empty_texts(run):
    _, tokenize = run
    assert tokenize(tf.constant(["", ""])).to_list() == [[], []]


@pytest.mark.parametrize("name", NAMES)
def test_no_texts(name):
    assert ours(name).tokenize(tf.constant([], tf.string)).to_list() == []
    assert ours(name)([])["input_ids"].shape == (0, 0)


@pytest.mark.parametrize("name", NAMES)
def test_texts_put_together_of_awkward_pieces(name):
    draw = random.Random(5)
    texts = ["".join(draw.choices(PIECES, k=draw.randrange(1, 23))) for _ in range(4001)]
    assert_equal_to_the_peer(name, texts)


@pytest.mark.parametrize("name", NAMES)
def test_every_code_point(name):
    """Each that is assigned, after an `a`, a digit, a space and an apostrophe in turn: its kind, case and accents."""
    points = [chr(c) for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
    points += map(chr, [*range(0x1C80, 0x1C90), *range(0xA7C0, 0xA7F0), 0xE000, 0xFFFF, 0xF0000, 0x10FFFF])
    points = [c for c in points if not "\u4e11" <= c <= "\u9f00" and not "\u3500" <= c <= "\u4d00" and c < "\U00020100"]
    before = ("a", "1", " ", "'")
    texts = [before[i % 4] + "".join(points[i : i + 13]) + "s" for i in range(0, len(points), 13)]
    texts += [before[i % 4] + points[i] + "s1" for i in range(0, len(points), 3)]
    assert_equal_to_the_peer(name, texts)


def assert_equal_to_the_peer(name, texts):
    peer, rows = peer_of(ours(name)), ours(name).tokenize(tf.constant(texts)).to_list()
    for text, ids in zip(texts, rows, strict=True):
        assert ids == peer.encode(text).ids, ascii(text)


def test_text_to_ids_to_text_is_the_identity():
    draw = random.Random(2)
    texts = ["".join(draw.choices(PIECES, k=31)) for _ in range(401)]
    tokenizer = ours("gpt2")
    assert [tokenizer.decode(tokenizer.encode(text)) for text in texts[:29]] == texts[:29]
    back = tokenizer.detokenize(tokenizer.tokenize(tf.constant(texts)))
    assert [text.decode() for text in back.numpy()] == texts


def test_any_bytes(run):
    name, tokenize = run
    draw = random.Random(2)
    lead = [
        b"\xff",
        b"\xc3",
        b"\xe4\xb8",
        b"\xf0\x9f\x98",
        b"\xed\xa0\x80",
        b"\x80",
        b"\xef\xbf",
        b"\xef\xbf\xbd",
        b"ab ",
        b"\0",
        b"",
    ]
    data = [b"".join(draw.choices(lead, k=draw.randrange(9))) + draw.randbytes(draw.randrange(5)) for _ in range(401)]
    rows = tokenize(tf.constant(data))
    assert rows.to_list() == ours(name).tokenize(tf.constant(data)).to_list()
    if name == "gpt2":  # the others change texts
        assert ours(name).detokenize(rows).numpy().tolist() == data


def test_a_byte_that_is_not_utf8_is_a_word_of_its_own_token():
    tokenizer = ours("gpt2")
    e4, b8 = (tokenizer.vocab[character] for character in "ä¸")  # noqa: RUF001 - as the vocabulary writes the bytes
    [ids] = tokenizer.tokenize(tf.constant([b"the\xe4\xb8 the"])).to_list()
    assert ids == [*tokenizer.encode("the"), e4, b8, *tokenizer.encode(" the")]


def test_gpt1_drops_what_is_not_utf8():
    assert ours("gpt1").tokenize(tf.constant([b"the\xe4\xb8 the"])).to_list() == [ours("gpt1").encode("the the")]


def test_pieces_of_a_character_join_to_it():
    tokenizer = ours("gpt2")
    ids = tokenizer.encode("🦆")
    assert len(ids) > 1 and tokenizer.decode(ids[:1]) == "\ufffd"
    assert b"".join(tokenizer.detokenize(tf.constant(ids)[:, None]).numpy()).decode() == "🦆"


@pytest.mark.parametrize("unit", ["a", "the", "汉", "qwertyuiop"])
@pytest.mark.parametrize("name", ["gpt2", "gpt1"])
def test_one_very_long_word(name, unit):
    text = unit * 3001
    assert ours(name).encode(text) == peer_of(ours(name)).encode(text).ids


@pytest.mark.parametrize(
    "merges",
    [
        ["a b", "b a", "ab a", "a ba", "aba b"],  # the same token made in two ways
        ["ab a", "a b", "aba ab", "b a"],  # used before it is made
        ["a a", "aa a", "aa aa", "aaa a", "aaaa a", "a aa"],
        ["a aa", "aaa a", "a a", "aa aa"],
        ["b a", "ba b", "a b", "b a"],  # twice: the last counts
    ],
)
def test_merges_in_any_order(merges):
    """What training gives in rare cases, and what people write: the pair of lowest rank, then the leftmost."""
    merges = [tuple(merge.split()) for merge in merges]
    tokens = sorted({"c", "a", "b", *("".join(merge) for merge in merges), *sum(merges, ())})
    vocab = {token: i for i, token in enumerate(tokens)}
    peer = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocab, merges=merges))
    draw = random.Random(1)
    texts = ["".join(draw.choices("aaabbc", k=draw.randrange(1, 23))) for _ in range(101)]
    merge = Merges([(vocab[a], vocab[b], vocab[a + b]) for a, b in merges], len(vocab))
    symbols = tf.ragged.constant([[vocab[character] for character in text] for text in texts], dtype="int32")
    assert merge(symbols).to_list() == [peer.encode(text).ids for text in texts]


def test_overlapping_added_tokens():
    """The leftmost first, of those the longest; those not normalized before the others."""
    vocab = {character: i for i, character in enumerate("abcd")}
    contents = ["aba", "ab", "bab", "babab", "cc"]
    tokens = [AddedToken(4 + i, content, normalized=content == "cc") for i, content in enumerate(contents)]
    peer = peer_of(BPETokenizer(vocab, [], added_tokens=tokens))
    draw = random.Random(1)
    texts = ["".join(draw.choices("aabbcd", k=29)) for _ in range(211)]
    points = mark_added_tokens(tf.strings.unicode_decode(texts, "UTF-8"), tokens[:4])
    rows = mark_added_tokens(points, tokens[4:]).to_list()
    ids = [[~point if point < 0 else vocab[chr(point)] for point in row] for row in rows]
    assert ids == [peer.encode(text).ids for text in texts]


def test_special_tokens_are_left_out_where_asked():
    tokenizer = ours("gpt2_added")
    ids = tokenizer.encode("one <pad>New York<mask>")
    assert tokenizer.decode(ids) == " one <pad>New York<mask>"
    assert tokenizer.decode(ids, skip_special_tokens=True) == " one New York"


@pytest.mark.parametrize("way", ["eager", "exported"])
def test_bytes_without_a_token_are_errors(way, tmp_path):
    tokenizer = BPETokenizer({"a": 0, "b": 1, "ab": 2}, [("a", "b")])
    with pytest.raises(ValueError, match=r"no token for these bytes.*99 100"):
        tokenizer.encode("abcd")
    with pytest.raises(tf.errors.InvalidArgumentError, match="no token for these bytes"):
        WAYS[way](tokenizer, tmp_path)(tf.constant(["ab", "abc"]))


def test_bytes_without_a_token_are_the_unknown_token():
    assert BPETokenizer({"a": 0, "?": 1}, [], unk_token="?").encode("abac") == [0, 1, 0, 1]


def test_lone_surrogates_are_errors():
    with pytest.raises(ValueError, match=r"lone surrogate '\\udcff' at 1"):
        ours("gpt2").encode("a\udcff")


@pytest.mark.parametrize("ids", [[0, -1], [701]])
def test_ids_that_are_none_are_errors(ids):
    with pytest.raises(ValueError, match=r"`ids` must lie in \[0, 701\); got"):
        ours("gpt2").decode(ids)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({"a": 0, "b": 0}, []), "gives the id 0 to 'a' and to 'b'"),
        (({"a": 0, "b": 2}, []), "2 tokens and gives none the id 1"),
        (({"a": 0, "b": 1}, [("a", "b")]), "the merge of 'a' and 'b' names 'ab'"),
        (({"a": 0, "ab": 1}, [("a", "b")]), "the merge of 'a' and 'b' names 'b'"),
    ],
)
def test_vocabularies_that_do_not_fit_together(arguments, message):
    with pytest.raises(ValueError, match=message):
        BPETokenizer(*arguments)
    with pytest.raises(ValueError, match="`eos_token` names '</s>'"):
        BPETokenizer({"a": 0}, [], special_tokens={"eos_token": "</s>"})


def test_training(tmp_path):
    text = "the cat sat on the mat, the rat sat on the cat\n" * 7
    (tmp_path / "text").write_text(text, encoding="utf-8")
    tokenizer = BPETokenizer.train([text], 271, special_tokens=["<|end|>", "<|pad|>"], model_max_length=5)
    assert tokenizer.vocab_size == 271 and tokenizer.eos_token_id == tokenizer.encode("<|end|>")[0] == 0
    assert (
        BPETokenizer.train([tmp_path / "text"], 271, special_tokens=["<|end|>", "<|pad|>"]).merges == tokenizer.merges
    )
    assert len(tokenizer.encode(" the")) == 1 and tokenizer.decode(tokenizer.encode("ß😀")) == "ß😀"
    assert tokenizer(["the the the the the the"], truncation=True)["input_ids"].shape == (1, 5)
    with pytest.raises(ValueError, match="`vocab_size` must hold 256 bytes and 1 special"):
        BPETokenizer.train([text], 256)


def test_python_and_tensors_give_the_same_batch():
    texts = ["Hello, world!", "", "a 汉字 b"]
    for name in NAMES:
        for side in ("left", "right"):
            options = {"padding_side": side, "truncation": True, "max_length": 7}
            python, tensors = ours(name)(texts, **options), ours(name)(tf.constant(texts), **options)
            for key in ("input_ids", "attention_mask"):
                np.testing.assert_array_equal(python[key], tensors[key])


# === Llama 3's ===


def llama3(directory) -> tuple[BPETokenizer, tokenizers.Tokenizer]:
    """Llama 3's kind: the words of cl100k_base, a text that begins with a token, and tokens that no merges make."""
    peer = tokenizers.Tokenizer(models.BPE())
    rule = pre_tokenizers.Split(tokenizers.Regex(PATTERN), "isolated")
    peer.pre_tokenizer = pre_tokenizers.Sequence(
        [rule, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=331, initial_alphabet=alphabet, show_progress=False)
    peer.train_from_iterator(expected()["strings"], trainer)
    content = json.loads(peer.to_str())
    vocab = content["model"]["vocab"]
    for token in ("Ġunmade", "zqz", "é".encode().decode("latin-1"), "ĊĊĊ", "123"):
        vocab.setdefault(token, len(vocab))
    content["model"]["ignore_merges"] = True
    peer = tokenizers.Tokenizer.from_str(json.dumps(content))
    peer.add_special_tokens(["<|begin_of_text|>"])
    begin = ("<|begin_of_text|>", peer.token_to_id("<|begin_of_text|>"))
    single, pair = "<|begin_of_text|> $A", "<|begin_of_text|> $A <|begin_of_text|>:1 $B:1"
    around = processors.TemplateProcessing(single=single, pair=pair, special_tokens=[begin])
    peer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), around])
    peer.decoder = decoders.ByteLevel()
    peer.save(str(directory / "tokenizer.json"))
    return BPETokenizer.from_pretrained(directory), peer


def test_llama3(tmp_path):
    tokenizer, peer = llama3(tmp_path)
    draw = random.Random(3)
    extra = [
        "'LL",
        "'Re",
        "'\u017f",
        "12",
        "3456",
        "\r",
        "\n\n\n",
        " unmade",
        "zqz",
        "zqzq",
        "123",
        ".",
        "?\n",
        "<|begin_of_text|>",
    ]
    texts = ["".join(draw.choices([*PIECES, *extra], k=draw.randrange(1, 17))) for _ in range(4001)]
    assert tokenizer.tokenize(tf.constant(texts)).to_list() == [
        row.ids for row in peer.encode_batch(texts, add_special_tokens=False)
    ]
    assert tokenizer.encode("a zqz", "1234") == peer.encode("a zqz", "1234").ids
    assert tokenizer.decode(tokenizer.encode("Is zqz\n unmade?"), skip_special_tokens=True) == "Is zqz\n unmade?"
    tokenizer.save_pretrained(tmp_path / "saved")
    again = tokenizers.Tokenizer.from_file(str(tmp_path / "saved" / "tokenizer.json"))
    assert [row.ids for row in again.encode_batch(texts[:99])] == [row.ids for row in peer.encode_batch(texts[:99])]


# === Added tokens ===


def test_tokens_that_are_words():
    """Found unless a letter, a number or an underscore stands beside: the library drops what it found elsewhere."""
    tokens = ["zeh", "New York", "ж", "a b"]
    added = [AddedToken(700 + i, token, single_word=True, lstrip=i == 1) for i, token in enumerate(tokens, start=1)]
    plain = ours("gpt2")
    added = [*plain.added_tokens, *added, AddedToken(705, "b c")]
    tokenizer = BPETokenizer(plain.vocab, plain.merges, added_tokens=added)
    draw = random.Random(5)
    pieces = [
        *tokens,
        "b c",
        " ",
        "  ",
        "x",
        "_",
        "1",
        "-",
        "'",
        "\u0301",
        "字",
        "\u200d",
        "😀",
        "<|endoftext|>",
        "²",
        "\u00a0",
    ]
    texts = ["".join(draw.choices(pieces, k=draw.randrange(1, 9))) for _ in range(2001)]
    rows = peer_of(tokenizer).encode_batch(texts)
    assert tokenizer.tokenize(tf.constant(texts)).to_list() == [row.ids for row in rows]
