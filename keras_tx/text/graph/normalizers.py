"""The normalization of SentencePiece's tokenizers, as the `tokenizers` library does it."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np

from keras_tx.text.graph.added_tokens import AddedToken
from keras_tx.text.graph.aligned import ITSELF, AlignedText
from keras_tx.text.graph.charsmap import Charsmap
from keras_tx.text.graph.lookup import find
from keras_tx.text.graph.marks import is_mark, token_mark
from keras_tx.text.graph.neighbours import following, previous
from keras_tx.text.graph.unicode import ASSIGNED, SPACE, gpt2_kinds

_FOUND = 1 << 30
"""Marks what is to be replaced: no token has this id."""


class Normalizer(Protocol):
    """A step. Each stretch of text between added tokens is normalized by itself."""

    def content(self) -> dict[str, Any]:
        """Returns the normalizer as `tokenizer.json` writes it."""

    def __call__(self, text: AlignedText) -> AlignedText: ...


@dataclass(frozen=True)
class Strip:
    """Strips whitespace where stretches begin and end."""

    left: bool = False
    right: bool = True

    def content(self) -> dict[str, Any]:
        return {"type": "Strip", "strip_left": self.left, "strip_right": self.right}

    def __call__(self, text: AlignedText) -> AlignedText:
        import tensorflow as tf

        stretch = tf.cumsum(tf.cast(text.starts, tf.int32)) - 1
        solid = gpt2_kinds()(text.points) != SPACE
        place = tf.range(tf.size(solid))
        first = tf.math.segment_min(tf.where(solid, place, tf.int32.max), stretch)
        last = tf.math.segment_max(tf.where(solid, place, -1), stretch)
        kept = (place >= tf.gather(first, stretch)) if self.left else tf.ones_like(solid)
        return text.where(kept & (place <= tf.gather(last, stretch))) if self.right else text.where(kept)


@dataclass(frozen=True)
class BlankRuns:
    """Puts something in place of two blanks or more that follow one another."""

    replacement: str

    def content(self) -> dict[str, Any]:
        return {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": self.replacement}

    def __call__(self, text: AlignedText) -> AlignedText:
        import tensorflow as tf

        blank, starts = text.points == ord(" "), text.starts
        after_one = blank & previous(blank, False) & ~starts
        before_one = following(after_one, False)
        choice = tf.where(before_one, 1, tf.where(after_one, 2, 0))
        return text.substituted(choice, [(ITSELF,), (), tuple(map(ord, self.replacement))])


@dataclass(frozen=True)
class Replace:
    """Puts one text in place of another."""

    pattern: str
    replacement: str

    def content(self) -> dict[str, Any]:
        return {"type": "Replace", "pattern": {"String": self.pattern}, "content": self.replacement}

    def __call__(self, text: AlignedText) -> AlignedText:
        import tensorflow as tf

        if len(self.pattern) == len(self.replacement) == 1:
            return text.replaced(tf.where(text.points == ord(self.pattern), ord(self.replacement), text.points))
        text = text.with_tokens([AddedToken(_FOUND, self.pattern)])
        found = text.points == token_mark(_FOUND)
        text = text._replace(begins=tf.where(found, text.ends - 1, text.begins))  # comes from the last character
        return text.substituted(tf.cast(found, tf.int32), [(ITSELF,), tuple(map(ord, self.replacement))])


@dataclass(frozen=True)
class Prepend:
    """Puts a text before each stretch."""

    prefix: str

    def content(self) -> dict[str, Any]:
        return {"type": "Prepend", "prepend": self.prefix}

    def __call__(self, text: AlignedText) -> AlignedText:
        return text.inserted(self.prefix, text.starts & ~is_mark(text.points))[0]


@dataclass(frozen=True)
class EachCharacter:
    """Makes of each character what the library makes of it by itself.

    Small letters, SentencePiece's clean text, or characters taken apart and without their marks: `NFKD` and
    `StripAccents`, one after the other, for what `NFKD` does by itself depends on the characters beside.
    """

    kind: Literal["Lowercase", "Nmt", "NFKD", "StripAccents"]

    def content(self) -> dict[str, Any]:
        return {"type": self.kind}

    def __call__(self, text: AlignedText) -> AlignedText:
        import tensorflow as tf

        characters, numbers, outputs = self._table
        found, place = find(characters, text.points)
        return text.substituted(tf.where(found, tf.gather(numbers, place), 0), outputs)

    @cached_property
    def _table(self) -> tuple[np.ndarray, np.ndarray, list[tuple[int, ...]]]:
        from tokenizers import normalizers

        bar = "÷"  # stays, and nothing else becomes it
        texts = getattr(normalizers, self.kind)().normalize_str(bar.join(ASSIGNED.replace(bar, "a"))).split(bar)
        changed = [(ord(c), to) for c, to in zip(ASSIGNED, texts, strict=True) if to != c and c != bar]
        numbers = {to: i for i, to in enumerate(sorted({to for _, to in changed}), start=1)}
        characters, of_character = np.array([(c, numbers[to]) for c, to in changed], "int32").T
        return characters, of_character, [(ITSELF,), *(tuple(map(ord, to)) for to in numbers)]


def parse_normalizer(content: dict[str, Any] | None) -> tuple[Normalizer, ...]:
    """The steps of what `tokenizer.json` says.

    Raises:
        ValueError: if there is one that we do not have.
    """
    match content or {"type": "Sequence", "normalizers": []}:
        case {"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "StripAccents"}, *others]}:
            rest = parse_normalizer({"type": "Sequence", "normalizers": others})
            return (EachCharacter("NFKD"), EachCharacter("StripAccents"), *rest)
        case {"type": "Sequence", "normalizers": [first, *others]}:
            return (*parse_normalizer(first), *parse_normalizer({"type": "Sequence", "normalizers": others}))
        case {"type": "Sequence", "normalizers": []}:
            return ()
        case {"type": "Precompiled", "precompiled_charsmap": charsmap}:
            return (Charsmap(base64.b64decode(charsmap)),) if charsmap else ()
        case {"type": "Strip", "strip_left": left, "strip_right": right}:
            return (Strip(left, right),)
        case {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": to}:
            return (BlankRuns(to),)
        case {"type": "Replace", "pattern": {"String": pattern}, "content": to} if pattern:
            return (Replace(pattern, to),)
        case {"type": "Prepend", "prepend": prefix} if prefix:
            return (Prepend(prefix),)
        case {"type": "Lowercase" | "Nmt" as kind}:
            return (EachCharacter(kind),)
    raise ValueError(f"the normalizer {content!r} is none of SentencePiece's: it would give other ids than it should.")


def normalizer_content(steps: Sequence[Normalizer]) -> dict[str, Any] | None:
    """The steps as `tokenizer.json` has them."""
    parts = [step.content() for step in steps]
    return {"type": "Sequence", "normalizers": parts} if len(parts) > 1 else parts[0] if parts else None


def peer_of(steps: Sequence[Normalizer]):
    """The library's own normalizer of these steps; None of none."""
    from tokenizers import Tokenizer, models

    content = json.loads(Tokenizer(models.BPE()).to_str())
    return Tokenizer.from_str(json.dumps({**content, "normalizer": normalizer_content(steps)})).normalizer
