"""Rows of tokens that keep what they stand for: windows of long texts, and labels of words as labels of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from keras_tx.ops.losses import IGNORED
from keras_tx.text import Tokenizer
from keras_tx.text.core import rows

Tokens = tuple[Sequence[int], Sequence[int]]
"""The ids of a text, and a number for each."""


class Windows(NamedTuple):
    """The rows that texts became.

    NumPy arrays, or tensors in a graph.

    Attributes:
        batch: `input_ids`, `token_type_ids` and `attention_mask`, int32 `(R, T)` each, filled up on the right.
        numbers: int32 `(R, T)`, the number that each token came with; -1 for special tokens and padding.
        samples: int32 `(R,)`, which example each row is of.
    """

    batch: dict[str, Any]
    numbers: Any
    samples: Any


def windows(tokenizer: Tokenizer, *texts: Sequence[Tokens], max_length: int, stride: int) -> Windows:
    """Rows of texts, or of pairs, in which the last text becomes as many rows as it needs.

    Args:
        tokenizer: whose special tokens stand around the texts, and whose padding fills rows up.
        texts: of each example the text, or of each the first text and then of each the second.
        max_length: the most tokens of a row.
        stride: by how many tokens each row of a text overlaps the one before, as Transformers' `stride`.

    Raises:
        ValueError: if `stride` is negative, or as long as what a row has room for.
    """
    if stride < 0:
        raise ValueError(f"`stride` must be 0 or above; got {stride}.")
    tables = [rows.Tokens.of_lists([list(zip(*text, strict=True)) for text in column], 2) for column in texts]
    return _windows(tokenizer, tables, max_length, stride)


def window_tensors(tokenizer: Tokenizer, *tables, max_length: int, stride: int) -> Windows:
    """`windows` in a TensorFlow graph.

    Args:
        tokenizer, max_length, stride: as of `windows`.
        tables: the texts, ragged int32 `(B, None, 2)`: of each token its id and its number.

    Returns:
        Tensors.

    Raises:
        InvalidArgumentError: when run, if `stride` leaves no room.
    """
    return _windows(tokenizer, [rows.Tokens.of_ragged(table) for table in tables], max_length, stride)


def _windows(tokenizer: Tokenizer, tables: Sequence[rows.Tokens], max_length: int, stride: int) -> Windows:
    make = rows.Rows(
        tokenizer.template,
        tokenizer.pad_token_id,
        max_length=max_length,
        truncation="only_second" if len(tables) > 1 else "only_first",
        stride=stride,
    )
    cells, samples = make(*tables)
    batch = {"input_ids": cells[0], "token_type_ids": cells[2], "attention_mask": cells[3]}
    return Windows(batch, cells[1], samples)


def align_labels(labels: Sequence[int], word_ids: Sequence[int | None]) -> list[int]:
    """The labels of tokens: the first token of each word has the word's, all others -100, which does not count.

    Args:
        labels: of the words.
        word_ids: of each token, the word it is of, or None for a special token.
    """
    before = [None, *word_ids]
    return [
        IGNORED if word is None or word == previous else labels[word]
        for word, previous in zip(word_ids, before, strict=False)
    ]
