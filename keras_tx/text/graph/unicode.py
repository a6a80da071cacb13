"""Kinds of characters, as the `tokenizers` library has them.

Its regular expressions, its lower-casing and its punctuation each follow another version of Unicode, none of them
Python's or TensorFlow's. So nothing is copied: the library is asked about every code point, once a process, and the
answers become constants of the graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Self

import numpy as np

BOUNDARY, SPACE, LETTER, NUMBER, OTHER = range(5)
"""Kinds of GPT-2's splitting rule. What is below 0 is not text, and bounds it."""

BLANK, ALONE, INNER = range(1, 4)
"""Kinds of BERT's: between words, a word by itself, and part of one."""

REMOVED, KEPT, SPACED, CHANGED = range(1, 5)
"""Kinds of its normalization: gone, as it was, with blanks around it, and something else."""

_EVERY = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
ASSIGNED = "".join(c for c in _EVERY if c < "\U00040000" or "\U000e0000" <= c < "\U000e1000")  # but private planes
"""All characters of the planes in which Unicode has assigned any, private ones apart."""


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


def matching(pattern: str) -> list[str]:
    """The characters that a regular expression of the library matches."""
    from tokenizers import Regex, normalizers

    mark = "\ue000"  # private, so in none of the patterns
    marked = normalizers.Replace(Regex(pattern), mark).normalize_str(ASSIGNED)
    return [c for c, to in zip(ASSIGNED, marked, strict=True) if to == mark != c]


@cache
def gpt2_kinds() -> Kinds:
    """Spaces, letters, numbers and the rest, as in GPT-2's regular expression."""
    return Kinds({SPACE: matching(r"\s"), LETTER: matching(r"\p{L}"), NUMBER: matching(r"\p{N}")}, OTHER)


@cache
def word_kinds() -> Kinds:
    r"""What is part of a word, as `\w` of the expressions that added tokens are found by has it, as `LETTER`."""
    from tokenizers import pre_tokenizers

    pieces = pre_tokenizers.Whitespace().pre_tokenize_str(" ".join(f"a{c}" for c in ASSIGNED))
    return Kinds({LETTER: [*(piece[1] for piece, _ in pieces if len(piece) == 2 and piece[0] == "a"), "a"]}, OTHER)


@cache
def bert_kinds() -> Kinds:
    """Returns the kinds that BERT's words are split by, for normalized text."""
    from tokenizers import pre_tokenizers

    pieces = pre_tokenizers.BertPreTokenizer().pre_tokenize_str("a".join(ASSIGNED))
    punctuation = {piece for piece, _ in pieces if len(piece) == 1} - {"a"}
    return Kinds({BLANK: matching(r"\s"), ALONE: punctuation}, INNER)


@dataclass(frozen=True)
class BertNormalization:
    """The normalization of a text before BERT's words are looked for.

    Source: google-research/bert, `BasicTokenizer`, as the `tokenizers` library does it.
    """

    clean_text: bool = True
    """Control characters go, and whitespace becomes blanks."""

    handle_chinese_chars: bool = True
    """Chinese characters get blanks around them."""

    strip_accents: bool | None = None
    """Characters are decomposed and lose their marks; None: if `lowercase`."""

    lowercase: bool = True
    """Letters become small, each by itself: a final sigma is as any other."""

    nfkc: bool = False
    """Characters take their usual form before all else: a wide `A` becomes `A`. Needs `strip_accents`."""

    def __post_init__(self):
        if self.nfkc and not (self.lowercase if self.strip_accents is None else self.strip_accents):
            raise ValueError(
                "`nfkc=True` joins letters and accents, which is done only where `strip_accents` takes these away."
            )

    def __call__(self, text: str) -> str:
        """A text normalized by the library."""
        from tokenizers import normalizers

        options = asdict(self)
        if options.pop("nfkc"):
            text = normalizers.NFKC().normalize_str(text)
        return normalizers.BertNormalizer(**options).normalize_str(text)

    def content(self) -> dict[str, Any]:
        """Returns the normalizer as `tokenizer.json` writes it."""
        options = asdict(self)
        nfkc, bert = options.pop("nfkc"), {"type": "BertNormalizer", **options}
        return {"type": "Sequence", "normalizers": [{"type": "NFKC"}, bert]} if nfkc else bert

    @classmethod
    def parse(cls, content: Mapping[str, Any]) -> Self:
        """Reads the normalizer in `tokenizer.json`.

        Raises:
            ValueError: if it is another rule.
        """
        nfkc, bert = False, content
        if content.get("type") == "Sequence" and content["normalizers"][:1] == [{"type": "NFKC"}]:
            nfkc, bert = True, content["normalizers"][-1]
        if bert.get("type") != "BertNormalizer" or (nfkc and len(content["normalizers"]) != 2):
            raise ValueError(f"the normalizer {content!r} is not BERT's: it would give other ids than it should.")
        return cls(**{option: value for option, value in bert.items() if option != "type"}, nfkc=nfkc)


UNCASED = BertNormalization()
"""The normalization of BERT's uncased models and of GPT-1."""


@cache
def bert_changes(normalization: BertNormalization) -> tuple[Kinds, dict[int, tuple[int, ...]]]:
    """Returns the kind of change that each code point undergoes, and what those of the kind `CHANGED` become."""
    bar = "÷"  # stays, and nothing else becomes it
    texts = dict(zip(ASSIGNED, normalization(bar.join(ASSIGNED.replace(bar, "a"))).split(bar), strict=True))
    texts[bar] = bar
    members: dict[int, list[str]] = {REMOVED: [], KEPT: [], SPACED: [], CHANGED: []}
    for c, text in texts.items():
        members[{"": REMOVED, c: KEPT, f" {c} ": SPACED}.get(text, CHANGED)].append(c)
    kept = {c: KEPT if normalization(c) else REMOVED for c in ("\U00050000", "\U000f0000")}
    unassigned, private = kept.values()
    members[private] += map(chr, [*range(0xF0000, 0xFFFFE), *range(0x100000, 0x10FFFE)])
    return Kinds(members, unassigned), {ord(c): tuple(map(ord, texts[c])) for c in members[CHANGED]}
