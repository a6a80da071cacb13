"""The special tokens around a text and around a pair of texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

Text = Literal["A", "B"]
TEXTS: tuple[Text, Text] = ("A", "B")
"""The names of the first text and of the second."""

BERT = "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"
"""BERT's template of one text and of two."""

ROBERTA = "<s> $A </s>", "<s> $A </s> </s> $B </s>"
"""RoBERTa's and BART's, with one token type."""

T5 = "$A </s>", "$A </s> $B </s>"
"""T5's, with one token type."""

BOS = "<s> $A", "<s> $A <s>:1 $B:1"
"""The template of Llama and the like, whose texts each begin with a token."""


class Piece(NamedTuple):
    """One part of a template.

    Attributes:
        content: the first text, "A", the second, "B", or the id of a special token.
        type_id: the token type of what stands there.
    """

    content: Text | int
    type_id: int = 0

    @property
    def is_text(self) -> bool:
        """Whether a text stands there, and not a special token."""
        return isinstance(self.content, str)


@dataclass(frozen=True)
class Template:
    """The special tokens and texts that make a row of one text and a row of two, with their token types.

    The template of the `tokenizers` library's `TemplateProcessing`. Without arguments it has no special tokens, and the
    second text of a pair has the token type 1.

    Raises:
        ValueError: if a text is missing or comes twice.
    """

    single: tuple[Piece, ...] = (Piece("A"),)
    """The row of one text."""

    pair: tuple[Piece, ...] = (Piece("A"), Piece("B", 1))
    """The row of two texts."""

    def __post_init__(self):
        for name, texts, wanted in (("single", ["A"], "A once"), ("pair", ["A", "B"], "A and B once each")):
            found = sorted(str(piece.content) for piece in getattr(self, name) if piece.is_text)
            if found != texts:
                raise ValueError(f"the template `{name}` must have {wanted}; got {found}.")

    @classmethod
    def parse(cls, single: str, pair: str, ids: Mapping[str, int]) -> Self:
        """Reads the notation of the `tokenizers` library.

        Args:
            single: such as `"[CLS] $A [SEP]"`.
            pair: such as `"[CLS] $A [SEP] $B:1 [SEP]:1"`; a number after a colon is the token type, 0 unless given.
            ids: the ids of the special tokens.
        """
        return cls(tuple(_pieces(single, ids)), tuple(_pieces(pair, ids)))

    def of(self, texts: int) -> tuple[Piece, ...]:
        """The template of so many texts, one or two."""
        return self.single if texts == 1 else self.pair

    def special_tokens(self, texts: int) -> int:
        """The number of special tokens around so many texts, one or two."""
        return len(self.of(texts)) - texts

    def without_special_tokens(self) -> Template:
        """The texts alone, with their token types."""
        return Template(*(tuple(piece for piece in pieces if piece.is_text) for pieces in (self.single, self.pair)))

    @property
    def prefix(self) -> list[int]:
        """The ids before a single text."""
        ids, _ = self.row(())
        return ids[: self._before]

    @property
    def suffix(self) -> list[int]:
        """The ids after a single text."""
        ids, _ = self.row(())
        return ids[self._before :]

    def row(self, *texts: Sequence[int]) -> tuple[list[int], list[int]]:
        """The ids and the token types of a row of one text or two, given as ids."""
        ids: list[int] = []
        types: list[int] = []
        for content, type_id in self.of(len(texts)):
            part = texts["AB".index(content)] if isinstance(content, str) else [content]
            ids += part
            types += [type_id] * len(part)
        return ids, types

    @property
    def _before(self) -> int:
        return [piece.is_text for piece in self.single].index(True)


def _pieces(notation: str, ids: Mapping[str, int]) -> Iterator[Piece]:
    for written in notation.split():
        name, type_id = re.fullmatch(r"(.+?)(?::(\d+))?", written).groups("0")  # type: ignore[union-attr]
        texts: dict[str, Text] = {"$A": "A", "$B": "B"}
        yield Piece(texts[name] if name in texts else ids[name], int(type_id))
