"""Texts as words with a place, so that what a model says of tokens can be said of the text."""

from __future__ import annotations

import dataclasses
import re
import sys
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Self


@dataclasses.dataclass(frozen=True)
class Words:
    """A text and where its words stand.

    Attributes:
        text: the text.
        spans: of each word, the characters `[start, end)`, in order.
    """

    text: str
    spans: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, source: str | Sequence[str]) -> Self:
        """The words of a text, split as BERT's tokenizer does; or given words, joined to a text by blanks.

        Punctuation marks and Chinese characters are words by themselves; otherwise words end at whitespace.

        Raises:
            ValueError: for a given word that is empty.
        """
        if isinstance(source, str):
            return cls(source, tuple(match.span() for match in _pattern().finditer(source)))
        spans, begin = [], 0
        for i, word in enumerate(source):
            if not word.strip():
                raise ValueError(f"word {i} is {word!r}, which is empty: leave it and its label out.")
            spans.append((begin, begin + len(word)))
            begin += len(word) + 1
        return cls(" ".join(source), tuple(spans))

    def __len__(self) -> int:
        return len(self.spans)

    @property
    def pieces(self) -> list[str]:
        """Each word with what stands before it, for the tokenizers in whose tokens blanks count."""
        begins = [0, *(end for _, end in self.spans)]
        return [self.text[begin:end] for begin, (_, end) in zip(begins, self.spans, strict=False)]


@cache
def _pattern() -> re.Pattern:
    every = map(chr, range(sys.maxunicode + 1))
    marks = "".join(c for c in every if unicodedata.category(c)[0] == "P" or (c.isascii() and c in "$+<=>^`|~"))
    alone = re.escape(marks) + "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f"
    return re.compile(rf"[{alone}]|[^\s{alone}]+")
