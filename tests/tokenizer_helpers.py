"""Tokenizers of the tests, the `tokenizers` library's equals of them, and the ways in which TensorFlow runs them."""

import json
from functools import cache
from pathlib import Path

import pytest
import tensorflow as tf
import tokenizers

from keras_tx.text import BPETokenizer, Tokenizer
from keras_tx.text.bpe.files import compose

GOLDEN = Path(__file__).parent / "golden" / "tokenizers"
WORDPIECE = Path(__file__).parent / "golden" / "wordpiece"
NAMES = ("gpt2", "gpt2_added", "gpt1")

PIECES = [
    *("'", "'s", "'re", "'ll", "'d", "s", "l", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2028", "\x85"),
    *(
        "a",
        "B",
        "the",
        "module",
        "é",
        "e\u0301",
        "\u0301",
        "İ",
        "Σ",
        "ẞ",
        "1",
        "²",
        "٣",
        "字",
        "豈",
        "か",
        "한글",
        "א",
        "ب",
    ),
    *(
        "😀",
        "👩‍👩‍👧",
        "\u200d",
        "\ufe0f",
        "!",
        "?!",
        "…",
        "_",
        "-",
        "\x00",
        "\x1c",
        "\x7f",
        "\u200b",
        "\ufeff",
        "\u180e",
    ),
    *(
        "\ufffd",
        "\uffff",
        "\ue000",
        "\U0010ffff",
        "<|endoftext|>",
        "<|endo",
        "<mask>",
        "<pad>",
        "<unk>",
        "New York City",
    ),
]
"""Texts that meet at awkward places."""


@cache
def ours(name: str) -> BPETokenizer:
    return BPETokenizer.from_pretrained(GOLDEN / name)


@cache
def expected() -> dict:
    return json.loads((GOLDEN / "expected.json").read_text())


def peer_of(tokenizer: BPETokenizer) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_str(json.dumps(compose(tokenizer)))


def eager(tokenizer: Tokenizer, _):
    return tokenizer.tokenize


def mapped(tokenizer: Tokenizer, _):
    def tokenize(texts):
        data = tf.data.Dataset.from_tensor_slices(texts).batch(len(texts)).map(tokenizer.tokenize)
        return next(iter(data))

    return tokenize


def traced(tokenizer: Tokenizer, _):
    return tf.function(tokenizer.tokenize, input_signature=[tf.TensorSpec((None,), tf.string)])


def exported(tokenizer: Tokenizer, path: Path):
    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
        def tokenize(self, texts):
            return tokenizer.tokenize(texts)

    tf.saved_model.save(Module(), str(path))
    return tf.saved_model.load(str(path)).tokenize


WAYS = {way.__name__: way for way in (eager, mapped, traced, exported)}


def in_every_way(*names: str, long: tuple[str, ...] = ()) -> list:
    """Pairs of a way and a name as parameters; `long` names are run in the first way, and in all by the long tests."""
    return [
        pytest.param((way, name), id=f"{way}-{name}", marks=[pytest.mark.slow] * (name in long and way != "eager"))
        for way in WAYS
        for name in (*names, *long)
    ]
