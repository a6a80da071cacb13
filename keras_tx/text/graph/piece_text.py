"""SentencePiece's pieces back to text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from keras_tx.text.graph.clean_up import cleaned, cleaned_in_graph
from keras_tx.text.graph.metaspace import BLANK

_BLANKS = {"type": "Replace", "pattern": {"String": BLANK}, "content": " "}
_BYTES, _JOINED = {"type": "ByteFallback"}, {"type": "Fuse"}
_STRIPPED = {"type": "Strip", "content": " ", "start": 1, "stop": 0}


def byte_piece(byte: int) -> str:
    """The token by which vocabularies write a byte."""
    return f"<0x{byte:02X}>"


_BYTE = {byte_piece(byte): byte for byte in range(256)}


@dataclass(frozen=True)
class PieceText:
    """The text of pieces, with a blank for `▁`."""

    leading: Literal["piece", "blank", "kept"] = "piece"
    """What is removed at the beginning of a text: all `▁` of its first piece, one blank, or nothing."""

    spelled: bool = False
    """Whether the pieces `<0x00>` to `<0xFF>` show as the bytes that they stand for."""

    clean_up: bool = False
    """Whether blanks go that do not belong before punctuation marks and English endings."""

    def __post_init__(self):
        if self.leading == "piece" and self.spelled:
            raise ValueError('`spelled=True` goes with `leading="blank"` and "kept" alone, as in the files of peers.')

    def __call__(self, pieces: Sequence[str]) -> str:
        """Returns the text of pieces. Of neighbouring bytes that are not UTF-8, each shows as U+FFFD."""
        if self.leading == "piece":
            pieces = [*(piece.replace(BLANK, "") for piece in pieces[:1]), *pieces[1:]]
        runs = groupby(pieces, lambda piece: self.spelled and piece in _BYTE)
        text = "".join(_decoded(run) if spelled else "".join(run).replace(BLANK, " ") for spelled, run in runs)
        text = text.removeprefix(" ") if self.leading == "blank" else text
        return cleaned(text) if self.clean_up else text

    def in_graph(self, tokens: Sequence[str], ids):
        """The texts of rows of ids, `(B, T)` or ragged: TensorFlow strings `(B,)`; bytes are given as they are."""
        import tensorflow as tf

        others = [bytes([_BYTE[t]]) if self.spelled and t in _BYTE else t.replace(BLANK, " ").encode() for t in tokens]
        first = [t.replace(BLANK, "").encode() for t in tokens] if self.leading == "piece" else others
        shown = [tf.gather(tf.constant(first), ids[:, :1]), tf.gather(tf.constant(others), ids[:, 1:])]
        text = tf.strings.reduce_join(tf.concat(shown, 1), axis=-1)
        text = tf.strings.regex_replace(text, "^ ", "") if self.leading == "blank" else text
        return cleaned_in_graph(text) if self.clean_up else text

    def content(self) -> dict[str, Any]:
        """Returns the decoder as `tokenizer.json` writes it."""
        if self.leading == "piece":
            return {"type": "Metaspace", "replacement": BLANK, "prepend_scheme": "always", "split": True}
        steps = [_BLANKS, *[_BYTES] * self.spelled, _JOINED, *[_STRIPPED] * (self.leading == "blank")]
        return {"type": "Sequence", "decoders": steps}

    @classmethod
    def parse(cls, content: dict[str, Any] | None) -> PieceText:
        """Reads the decoder in `tokenizer.json`.

        Raises:
            ValueError: if it is another rule.
        """
        match content:
            case {"type": "Metaspace", "replacement": str(blank), **others} if blank == BLANK:
                default = "always" if others.get("add_prefix_space", True) else "never"
                return cls("kept" if others.get("prepend_scheme", default) == "never" else "piece")
            case {"type": "Sequence", "decoders": steps}:
                for rule in (cls("blank"), cls("blank", True), cls("kept"), cls("kept", True)):
                    joined = rule.content()["decoders"]
                    apart = [step for step in joined if step != _JOINED] if rule.leading == "kept" else joined
                    if steps in (joined, apart):
                        return rule
        raise ValueError(f"the decoder {content!r} is none of SentencePiece's: it would give other texts.")


def _decoded(pieces: Iterable[str]) -> str:
    data = bytes(_BYTE[piece] for piece in pieces)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "\ufffd" * len(data)
