"""Grapheme clusters, as the `tokenizers` library has them."""

import random
import struct

import numpy as np
import tensorflow as tf
from tokenizers import normalizers

from keras_tx.text.graph.graphemes import CONTROL, EXTENDING, PREPENDED, grapheme_kinds, joined
from keras_tx.text.graph.unicode import ASSIGNED

MARK = "\u0301"


def clusters_as_x(texts: list[str]) -> list[str]:
    """Has the library make an x of each cluster of fewer than six bytes, and of each character of larger ones.

    It does so with normalization rules by which whatever begins with any byte becomes an x, a line feed apart: a
    double-array trie whose root leads on every byte to a leaf.
    """
    units = [0] * 1024
    units[0] = 0x100 << 10
    for byte in {*range(1, 256)} - {ord("\n")}:
        units[0x100 ^ byte] = 0x200 << 10 | 1 << 8 | byte
        units[0x300 ^ byte] = 1 << 31
    rules = struct.pack("<1025I", 4 * len(units), *units) + b"x\0"
    return normalizers.Precompiled(rules).normalize_str("\n".join(texts)).split("\n")


def making(characters: str, pattern: str, made: str) -> set[str]:
    """Those characters that the library makes so many clusters of, put into a pattern."""
    characters = [c for c in characters if c not in "\r\n\0"]
    found = clusters_as_x([pattern.format(c) for c in characters])
    return {c for c, of in zip(characters, found, strict=True) if of == made}


def test_every_character_has_the_librarys_class():
    small = "".join(c for c in ASSIGNED if c < "\U00010000")
    large = "".join(c for c in ASSIGNED if c >= "\U00010000")
    expected = {
        PREPENDED: making(ASSIGNED, "{}a", "x"),
        EXTENDING: making(ASSIGNED, "a{}", "x"),
        # A large character and two marks are one cluster of eight bytes, or two, of which the marks' is small.
        CONTROL: {*"\r\n\0", *making(small, "{}" + MARK, "xx"), *making(large, "{}" + 2 * MARK, "xx")},
    }
    points = np.array([ord(c) for c in ASSIGNED], "int32")
    kinds = grapheme_kinds()(tf.constant(points)).numpy()
    for kind, characters in expected.items():
        assert len(characters) >= 27
        assert {chr(c) for c in points[kinds == kind]} == characters


def test_pairs_of_characters_join_as_the_librarys():
    draw = random.Random(3)
    some = [
        "a",
        "é",
        MARK,
        "\u200d",
        "\u0600",
        "\u0903",
        "\u1100",
        "\u1161",
        "\u11a8",
        "가",
        "각",
        "\x07",
        "\u200b",
        "☃",
        "❤",
    ]
    pairs = [a + b for a in some for b in some] + ["".join(draw.sample(ASSIGNED, 2)) for _ in range(5003)]
    pairs = [pair for pair in pairs if len(pair.encode()) < 6 and not {*"\r\n\0"} & {*pair}]
    points = tf.strings.unicode_decode(tf.constant([pair.encode() for pair in pairs]), "UTF-8")
    together = joined(points.values, tf.constant([True, False] * len(pairs))).numpy()[1::2]
    assert [("x" if one else "xx") for one in together] == clusters_as_x(pairs)
    assert 30 < together.sum() < len(pairs) - 100
