"""Pairs of texts of which the second follows the first, or does not: BERT's second task."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from keras_tx.text import Tokenizer
from keras_tx.training.data.documents import Documents, empty_rows, room_for


class _Pair(NamedTuple):
    first: np.ndarray
    second: np.ndarray
    random: bool


def sentence_pairs(
    documents: Documents, tokenizer: Tokenizer, max_length: int, *, seed: int, short_probability: float = 0.1
) -> dict[str, np.ndarray]:
    """Rows of two texts each, of which the second, by the toss of a coin, comes from another document.

    Sentences are gathered until a row is full; the first text is some of them, and the second the others, or as many
    of another document, in which case the others are used again. So every sentence has its turn. The coin is fair, but
    that a document of one sentence has none to follow it.

    Source: Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", 2019, appendix A.2, and
    google-research/bert.

    Args:
        documents: two or more.
        tokenizer: whose special tokens stand around the texts, and whose token types tell these apart.
        max_length: tokens of a row. Of pairs too long the longer text loses tokens, at its beginning or its end.
        seed: of all draws.
        short_probability: that a row is filled to a random length only, which is closer to what is met later.

    Returns:
        `input_ids`, `token_type_ids` and `attention_mask`, int32 `(R, max_length)`, and `next_sentence_label`, int32
        `(R,)`: 0 where the second text follows the first, 1 where it does not.

    Raises:
        ValueError: if there are fewer than two documents, or no room for two texts.
    """
    if len(documents) < 2:
        raise ValueError("the second texts come from other documents, and there is but one: give two or more.")
    room = room_for(tokenizer, 2, max_length)
    draw = np.random.default_rng(seed)
    pairs = [pair for i in range(len(documents)) for pair in _pairs(documents, i, room, short_probability, draw)]
    order = draw.permutation(len(pairs))
    batch = empty_rows(tokenizer, len(pairs), max_length, ("input_ids", "token_type_ids", "attention_mask"))
    for row, place in enumerate(order):
        first, second = _cut(pairs[place], room, draw)
        ids, types = tokenizer.template.row(first.tolist(), second.tolist())
        batch["input_ids"][row, : len(ids)], batch["attention_mask"][row, : len(ids)] = ids, 1
        batch["token_type_ids"][row, : len(ids)] = types
    return {**batch, "next_sentence_label": np.array([pairs[place].random for place in order], "int32")}


def _pairs(documents: Documents, document: int, room: int, short_probability: float, draw: np.random.Generator):
    """The pairs whose first texts are a document's."""
    spans, start = documents.spans(document), 0
    while start < len(spans):
        target = int(draw.integers(2, room + 1)) if draw.random() < short_probability else room
        filled = int(np.searchsorted(spans[start:, 1] - spans[start, 0], target)) + 1
        stop = min(start + max(filled, 2), len(spans))
        random = len(spans) == 1 or draw.random() < 0.5
        if stop - start == 1 and not random:
            start -= 1  # the last sentence follows the one before, which is used again
        middle = start + int(draw.integers(1, max(stop - start, 2)))
        first = documents.ids[spans[start, 0] : spans[middle - 1, 1]]
        if random:
            yield _Pair(first, _elsewhere(documents, document, max(target - len(first), 1), draw), True)
        else:
            yield _Pair(first, documents.ids[spans[middle, 0] : spans[stop - 1, 1]], False)
        start = middle if random else stop


def _elsewhere(documents: Documents, document: int, length: int, draw: np.random.Generator) -> np.ndarray:
    """Sentences of another document, from a random one on, until they are long enough."""
    other = int(draw.integers(len(documents) - 1))
    spans = documents.spans(other + (other >= document))
    start = int(draw.integers(len(spans)))
    stop = min(start + int(np.searchsorted(spans[start:, 1] - spans[start, 0], length)) + 1, len(spans))
    return documents.ids[spans[start, 0] : spans[stop - 1, 1]]


def _cut(pair: _Pair, room: int, draw: np.random.Generator) -> list[np.ndarray]:
    """The texts of a pair, the longer one shortened token by token, each time at a random side."""
    texts = [pair.first, pair.second]
    while (over := len(texts[0]) + len(texts[1]) - room) > 0:
        longer = int(len(texts[1]) > len(texts[0]))
        surplus = min(over, max(abs(len(texts[0]) - len(texts[1])), 1))
        front = int(draw.binomial(surplus, 0.5))
        texts[longer] = texts[longer][front : len(texts[longer]) - (surplus - front)]
    return texts
