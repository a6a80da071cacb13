"""Models of the SentencePiece library: the few fields of their protocol buffer that a tokenizer needs."""

from __future__ import annotations

import struct
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

UNIGRAM, BPE = 1, 2
"""Types of models."""

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
"""Types of pieces."""

_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3
_TEXT, _SCORE, _TYPE = 1, 2, 3
_MODEL_TYPE, _BYTE_FALLBACK, _CHARSMAP = 3, 35, 2


@dataclass(frozen=True)
class SentencePieceModel:
    """The content of a model of SentencePiece.

    Source: google/sentencepiece, `sentencepiece_model.proto`.
    """

    pieces: list[str]
    """The pieces by id."""

    scores: list[float]
    """The scores of the pieces."""

    types: list[int]
    """The types of the pieces."""

    model_type: int
    """`UNIGRAM` or `BPE`."""

    byte_fallback: bool
    """Whether unknown characters are spelled in bytes."""

    charsmap: bytes
    """Normalization rules; empty where there are none."""

    def of_type(self, *types: int) -> list[int]:
        """The ids of pieces of some types."""
        return [i for i, kind in enumerate(self.types) if kind in types]


def read_model(path: str | Path) -> SentencePieceModel:
    """Reads a `.model` file.

    Raises:
        ValueError: if it cannot be read, or is no unigram or BPE model.
    """
    try:
        fields = _fields(Path(path).read_bytes())
        pieces = [_fields(piece) for piece in fields[_PIECES]]
        [trainer], [normalizer] = ([_fields(b"".join(fields[number]))] for number in (_TRAINER, _NORMALIZER))
        model = SentencePieceModel(
            [piece[_TEXT][-1].decode() for piece in pieces],
            [struct.unpack("<f", _last(piece, _SCORE, bytes(4)))[0] for piece in pieces],
            [_last(piece, _TYPE, NORMAL) for piece in pieces],
            _last(trainer, _MODEL_TYPE, UNIGRAM),
            bool(_last(trainer, _BYTE_FALLBACK, 0)),
            _last(normalizer, _CHARSMAP, b""),
        )
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}.") from None
    except (LookupError, ValueError, AttributeError, TypeError, struct.error) as error:
        raise ValueError(f"{path} is no model of SentencePiece, or is damaged: {error}.") from None
    if model.model_type not in (UNIGRAM, BPE) or not model.of_type(UNKNOWN):
        raise ValueError(
            f"{path} is of the type {model.model_type}, with {len(model.of_type(UNKNOWN))} unknown pieces: "
            "give a unigram or BPE model, with one."
        )
    return model


def _last(fields: dict[int, list[Any]], number: int, default: Any) -> Any:
    return fields[number][-1] if fields[number] else default


def _fields(data: bytes) -> dict[int, list[Any]]:
    """The fields of a message by number: integers, or bytes of whatever is longer."""
    fields: dict[int, list[Any]] = defaultdict(list)
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            place, value, shift = place + 1, value | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                return value

    while place < len(data):
        number, wire = divmod(varint(), 8)
        if wire == 0:
            fields[number].append(varint())
            continue
        size = {1: 8, 5: 4}[wire] if wire != 2 else varint()
        if place + size > len(data):
            raise ValueError("it ends within a field")
        fields[number].append(data[place : place + size])
        place += size
    return fields
