"""Kinds of characters, as the `tokenizers` library has them.

Its regular expressions, its lower-casing and its punctuation each follow another version of Unicode, none of them
Python's or TensorFlow's. So nothing is copied: the library is asked about every code point, once a process, and the
answers become constants of the graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

import numpy as np

BOUNDARY, SPACE, LETTER, NUMBER, OTHER = range(5)
"""Kinds of GPT-2's splitting rule. What is below 0 is not text, and bounds it."""

REMOVED, BLANK, ALONE, INNER = range(1, 5)
"""Kinds of BERT's: gone, between words, a word by itself, and part of one."""

_EVERY = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
_ASSIGNED = "".join(c for c in _EVERY if c < "\U00040000" or "\U000e0000" <= c < "\U000e1000")  # but private planes


class Kinds:
    """The kind of each code point, kept as ranges.

    Args:
        members: the characters of each kind.
        default: the kind of all others; negative numbers are of the kind `BOUNDARY`.
    """

    def __init__(self, members: Mapping[int, Iterable[str]], default: int):
        every = np.full(0x110000, default, "int8")
        for kind, characters in members.items():
            every[[ord(c) for c in characters]] = kind
        starts = np.flatnonzero(np.diff(every, prepend=BOUNDARY))
        self.starts = np.concatenate([[np.iinfo("int32").min], starts]).astype("int32")
        self.kinds = np.concatenate([[BOUNDARY], every[starts]]).astype("int8")

    def __call__(self, points):
        """The kinds of an int32 tensor `(N,)`, int8."""
        import tensorflow as tf

        place = tf.searchsorted(tf.constant(self.starts), points, side="right") - 1
        return tf.gather(tf.constant(self.kinds), place)


def _matching(pattern: str) -> list[str]:
    from tokenizers import Regex, normalizers

    mark = "\ue000"  # private, so in none of the patterns
    marked = normalizers.Replace(Regex(pattern), mark).normalize_str(_ASSIGNED)
    return [c for c, to in zip(_ASSIGNED, marked, strict=True) if to == mark != c]


@cache
def gpt2_kinds() -> Kinds:
    """Spaces, letters, numbers and the rest, as in GPT-2's regular expression."""
    return Kinds({SPACE: _matching(r"\s"), LETTER: _matching(r"\p{L}"), NUMBER: _matching(r"\p{N}")}, OTHER)


@cache
def bert_kinds() -> Kinds:
    """What BERT's uncased normalization removes, and where words end after it."""
    from tokenizers import normalizers, pre_tokenizers

    options = {"handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    cleaned = normalizers.BertNormalizer(clean_text=True, **options).normalize_str(_EVERY)
    blank = set(_matching(r"\s"))
    accents = {c for c, text in _changed_by_bert().items() if not text}
    spaced = {c for c, text in _changed_by_bert().items() if text == f" {c} "}  # Chinese
    pieces = pre_tokenizers.BertPreTokenizer().pre_tokenize_str("a".join(_ASSIGNED))
    punctuation = {piece for piece, _ in pieces if len(piece) == 1} - {"a"}
    removed = set(_EVERY) - set(cleaned) - blank | accents
    return Kinds({BLANK: blank, ALONE: spaced | punctuation, REMOVED: removed}, INNER)


@cache
def bert_folds() -> dict[int, tuple[int, ...]]:
    """What BERT's uncased normalization makes of the other code points: accents stripped, lower-cased."""
    folds = {c: text.strip() or text for c, text in _changed_by_bert().items()}
    return {ord(c): tuple(map(ord, text)) for c, text in folds.items() if text not in ("", c)}


def bert_normalized(text: str) -> str:
    """A text as BERT's uncased normalization makes it."""
    from tokenizers import normalizers

    return normalizers.BertNormalizer(lowercase=True).normalize_str(text)


@cache
def _changed_by_bert() -> dict[str, str]:
    return {c: text for c in _ASSIGNED if (text := bert_normalized(c)) != c}
