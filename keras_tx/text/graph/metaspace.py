"""The words of SentencePiece's tokenizers, which begin at whitespace, written as a character."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from keras_tx.text.graph.aligned import AlignedText
from keras_tx.text.graph.marks import is_mark
from keras_tx.text.graph.neighbours import previous
from keras_tx.text.graph.unicode import SPACE, gpt2_kinds

BLANK = "▁"
"""U+2581, by which pieces write a blank."""

Scheme = Literal["always", "first", "never"]


@dataclass(frozen=True)
class Metaspace:
    """Splits texts into words, which begin with `▁` in place of a blank."""

    whitespace_split: bool = True
    """Whitespace of every kind and length separates words, and is dropped. Else blanks alone do, and each counts."""

    prepend_scheme: Scheme = "always"
    """The words, or stretches of text, that get a `▁` if they begin with none: all, the text's first, or none."""

    split: bool = True
    """Whether words begin at each `▁`."""

    def __call__(self, text: AlignedText) -> tuple[AlignedText, Any]:
        """The text with `▁` in it, and where its words begin, booleans; added tokens are words."""
        import tensorflow as tf

        starts = text.starts
        if self.whitespace_split:
            blank = gpt2_kinds()(text.points) == SPACE
            starts = tf.boolean_mask(starts | previous(blank, False), ~blank)
            text = text.where(~blank)
        else:
            text = text.replaced(tf.where(text.points == ord(" "), ord(BLANK), text.points))
        if self.prepend_scheme != "never":
            bare = starts & ~is_mark(text.points) & (text.points != ord(BLANK))
            bare &= (text.begins == 0) if self.prepend_scheme == "first" else True
            text, original = text.inserted(BLANK, bare)
            starts = tf.gather(starts, tf.cumsum(tf.cast(original, tf.int32)) - 1) & original
        return text, starts | (text.points == ord(BLANK)) if self.split else starts

    def content(self) -> dict[str, Any]:
        """Returns the pre-tokenizer as `tokenizer.json` writes it."""
        words = {"type": "Metaspace", "replacement": BLANK, "prepend_scheme": self.prepend_scheme, "split": self.split}
        if not self.whitespace_split:
            return words
        return {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, words]}


def parse_metaspace(content: dict[str, Any] | None) -> Metaspace | None:
    """Reads the pre-tokenizer in `tokenizer.json`.

    Raises:
        ValueError: if it is another rule.
    """
    if content is None:
        return None
    match content:
        case {"type": "Metaspace", "replacement": str(blank)} if blank == BLANK:
            default = "always" if content.get("add_prefix_space", True) else "never"
            return Metaspace(False, content.get("prepend_scheme", default), content.get("split", True))
        case {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, last]}:
            words = parse_metaspace(last)
            if words is not None:
                return Metaspace(True, words.prepend_scheme, words.split)
        case {"type": "Sequence", "pretokenizers": [only]}:
            return parse_metaspace(only)
    raise ValueError(
        f"the pre-tokenizer {content!r} is none of SentencePiece's: it would give other ids than it should."
    )
