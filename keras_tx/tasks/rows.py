"""Rows of token ids as encoders take them: single texts, pairs, and windows of long texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keras_tx.ops.losses import IGNORED
from keras_tx.text import Tokenizer


class Row(NamedTuple):
    """One row of a model's input.

    Attributes:
        ids: token ids.
        types: 0 for tokens of the first text, 1 for those of the second.
        begin: where the last text begins in the row.
    """

    ids: list[int]
    types: list[int]
    begin: int


def make_row(tokenizer: Tokenizer, *texts: Sequence[int]) -> Row:
    """One or two texts between the tokenizer's special tokens, as BERT has them: [CLS] A [SEP] B [SEP].

    Args:
        tokenizer: whose `prefix` stands before the first text, and whose `suffix` after each.
        texts: token ids.
    """
    ids, types, begin = list(tokenizer.prefix), [0] * len(tokenizer.prefix), 0
    for kind, text in enumerate(texts):
        begin = len(ids)
        ids += [*text, *tokenizer.suffix]
        types += [kind] * (len(text) + len(tokenizer.suffix))
    return Row(ids, types, begin)


def specials(tokenizer: Tokenizer, texts: int) -> int:
    """How many special tokens a row of so many texts has."""
    return len(tokenizer.prefix) + texts * len(tokenizer.suffix)


def pad_rows(rows: Sequence[Row], pad_token_id: int, length: int) -> dict[str, np.ndarray]:
    """Rows filled up on the right: `input_ids`, `attention_mask` and `token_type_ids`, int32 `(B, length)` each."""
    names = ("input_ids", "attention_mask", "token_type_ids")
    arrays = {
        name: np.full((len(rows), length), i, "int32") for name, i in zip(names, (pad_token_id, 0, 0), strict=True)
    }
    for i, row in enumerate(rows):
        for array, values in zip(arrays.values(), (row.ids, 1, row.types), strict=True):
            array[i, : len(row.ids)] = values
    return arrays


def truncate_pair(first: Sequence[int], second: Sequence[int], room: int) -> tuple[Sequence[int], Sequence[int]]:
    """The beginnings of two texts that have room together; the longer one is cut first."""
    keep = min(len(first), max(room - len(second), room - room // 2))
    return first[:keep], second[: room - keep]


def windows(length: int, size: int, stride: int) -> list[tuple[int, int]]:
    """Stretches `[start, end)` of at most `size` tokens that cover a text of `length`.

    Args:
        length: tokens in the text.
        size: tokens in a window.
        stride: by how many tokens each overlaps the one before, as Transformers' `stride`.
    """
    if not 0 <= stride < size:
        raise ValueError(
            f"`stride` must lie in [0, {size}), less than the tokens of a text that fit into a row; got {stride}. "
            "Lower it, or raise `max_length`."
        )
    starts = range(0, max(length - stride, 1), size - stride)
    return [(start, min(start + size, length)) for start in starts]


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
