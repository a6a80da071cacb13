"""What ends a row besides end tokens: a text, or a function of the user's."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from keras import ops

from keras_tx.generation.processors import tokens_so_far
from keras_tx.generation.state import Decoding


def is_stopped(tokens, count, decoding: Decoding):
    """`(B,)` boolean: which rows one of `stopping_criteria` ends.

    Args:
        tokens: `(B, S)`, the new one included.
        count: int32 scalar, how many columns are filled.
        decoding: the loop's fixed choices.
    """
    so_far = tokens_so_far(tokens, count)
    stopped = ops.zeros_like(so_far[:, 0], dtype="bool")
    for criterion in decoding.stopping_criteria:
        stopped = ops.logical_or(stopped, ops.cast(criterion(so_far, None), "bool"))
    return stopped


class StopStrings:
    """A stopping criterion: a row ends when a token has brought the end of one of these texts.

    The text may begin in an earlier token, of the prompt too, and the last token may go on after it. An automaton (Aho
    and Corasick 1975) over bytes reads the last tokens; what each token does to it is a table.

    Args:
        texts: what ends a row.
        pieces: the bytes of each token, by id.
    """

    def __init__(self, texts: tuple[str, ...], pieces: list[bytes]):
        patterns = [text.encode() for text in texts]
        self.longest = max(map(len, patterns))
        follow, final = _automaton(patterns)
        self.after, self.met = _by_token(follow, final, pieces)

    def __call__(self, input_ids, scores=None):
        """`(B,)` boolean, of the tokens so far, `(B, S)`, -1 before the first."""
        others = self.after.shape[1] - 1  # a column for what is no token of the tokenizer
        ids = ops.where(ops.logical_or(input_ids < 0, input_ids > others), others, input_ids)
        state = ops.zeros_like(ids[:, 0])
        met = ops.zeros_like(ids[:, 0], dtype="bool")
        # Each token has a byte at least: what stands further back cannot be part of the text.
        for i in range(min(self.longest, ids.shape[1] or self.longest), 0, -1):
            place = state * self.after.shape[1] + ids[:, -i]
            state, met = ops.take(self.after.ravel(), place), ops.take(self.met.ravel(), place)
        return met


@lru_cache(maxsize=8)
def stop_strings(texts: tuple[str, ...], tokenizer: Any) -> StopStrings:
    """The criterion for texts with a tokenizer, the same one again for the same, so that nothing is compiled anew.

    Raises:
        ValueError: for an empty text.
    """
    if not texts or not all(texts):
        raise ValueError(f"`stop_strings` must be one or more texts that are not empty; got {texts}.")
    return StopStrings(texts, _pieces(tokenizer))


def _pieces(tokenizer) -> list[bytes]:
    """The bytes that each token adds to a text, by id: those after another token's."""
    special = set(tokenizer.all_special_ids)
    plain = (i for i in range(tokenizer.vocab_size) if i not in special)
    before, shown = next((i, x) for i in plain if (x := _detokenized(tokenizer, [[i]])[0]))
    rows = [[before, i] for i in range(tokenizer.vocab_size)]
    return [text[len(shown) :] for text in _detokenized(tokenizer, rows)]


def _detokenized(tokenizer, rows: list[list[int]]) -> list[bytes]:
    return tokenizer.detokenize(np.array(rows, "int32")).numpy().tolist()


def _automaton(patterns: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """The next state for each state and byte, `(N, 256)`, and which states complete a pattern, `(N,)`.

    A state is the longest end of what was read that a pattern begins with; 0 is none.
    """
    begun = sorted({pattern[:i] for pattern in patterns for i in range(len(pattern) + 1)}, key=len)
    number = {text: i for i, text in enumerate(begun)}

    def longest(text: bytes) -> int:
        return next(number[text[i:]] for i in range(len(text) + 1) if text[i:] in number)

    follow = np.array([[longest(text + bytes([byte])) for byte in range(256)] for text in begun], "int32")
    return follow, np.array([text.endswith(tuple(patterns)) for text in begun])


def _by_token(follow: np.ndarray, final: np.ndarray, pieces: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """What the tokens do to the automaton: the state after each, and whether one was final on the way, `(N, V + 1)`.

    The last column is that of what is no token: nothing goes on after it.
    """
    lengths = np.array([len(piece) for piece in pieces])
    order = np.argsort(-lengths, kind="stable")
    table = np.zeros((len(pieces), lengths.max(initial=0)), "uint8")
    for row, token in enumerate(order):
        table[row, : lengths[token]] = np.frombuffer(pieces[token], "uint8")
    state = np.repeat(np.arange(len(follow), dtype="int32")[:, None], len(pieces), axis=1)
    met = np.zeros(state.shape, "bool")
    for i in range(table.shape[1]):
        longer = int((lengths > i).sum())
        state[:, :longer] = follow[state[:, :longer], table[:longer, i]]
        met[:, :longer] |= final[state[:, :longer]]
    after, hits = np.zeros((len(follow), len(pieces) + 1), "int32"), np.zeros((len(follow), len(pieces) + 1), "bool")
    after[:, order], hits[:, order] = state, met
    return after, hits
