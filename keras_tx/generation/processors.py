"""Logits processors, which forbid tokens or make them less likely: Transformers', in their order."""

from __future__ import annotations

import numpy as np
from keras import ops

from keras_tx.generation.state import DecodeState, Decoding

REMOVED = -1e30
"""The logit of a token that must not come; finite, so that no sum or softmax over it gives NaN."""


def process(logits, state: DecodeState, decoding: Decoding, controls: dict):
    """Logits, or the log-probabilities of beam search, of the next token after all rules that are on.

    Args:
        logits: `(B, V)` float32.
        state: the tokens so far, their number, and which have been seen.
        decoding: `no_repeat_ngram_size` forbids to complete a run of so many tokens a second time, in prompt and
            continuation together; `bad_words_ids` forbids to complete any of these runs.
        controls: `repetition_penalty` divides the positive and multiplies the negative logits of tokens seen
            (Keskar et al. 2019); `min_length` forbids end tokens until so many columns are filled.

    Returns:
        `(B, V)` float32.
    """
    vocab_size = logits.shape[-1]
    if "repetition_penalty" in controls:
        penalty = controls["repetition_penalty"]
        logits = ops.where(state.seen, ops.where(logits < 0, logits * penalty, logits / penalty), logits)
    if decoding.no_repeat_ngram_size:
        repeated = _completed_ngrams(state, decoding.no_repeat_ngram_size, vocab_size)
        logits = ops.where(repeated, REMOVED, logits)
    if decoding.bad_words_ids:
        logits = ops.where(_completed_words(state, decoding.bad_words_ids, vocab_size), REMOVED, logits)
    if "min_length" in controls:
        ends = np.isin(np.arange(vocab_size), decoding.eos_token_ids)
        short = ops.cast(state.index, "float32") < controls["min_length"]
        logits = ops.where(ops.logical_and(short, ends), REMOVED, logits)
    return logits


def occurring(ids, vocab_size: int, where=None):
    """Returns which tokens of the vocabulary occur in each row of `ids`.

    Args:
        ids: `(B, T)`.
        vocab_size: V.
        where: `(B, T)` boolean, the columns that count; all unless given.

    Returns:
        `(B, V)` boolean.
    """
    batch, count = ops.shape(ids)
    # What does not count, and padding that is no token of the vocabulary, goes to a column past it.
    columns = ops.minimum(ids if where is None else ops.where(where, ids, vocab_size), vocab_size)
    rows = ops.repeat(ops.arange(batch, dtype="int32"), count)
    places = ops.stack([rows, ops.reshape(columns, (-1,))], axis=1)
    found = ops.scatter_update(ops.zeros((batch, vocab_size + 1), "bool"), places, ops.ones((batch * count,), "bool"))
    return found[:, :vocab_size]


def _completed_ngrams(state: DecodeState, size: int, vocab_size: int):
    """`(B, V)` boolean: the tokens that make the last `size` tokens a run that occurred."""
    starts = state.tokens.shape[1] - size + 1  # how many runs the buffer holds
    if starts < 1:
        return ops.zeros((1, vocab_size), "bool")
    repeated = ops.arange(starts, dtype="int32") + size <= state.index
    repeated = ops.broadcast_to(repeated, (ops.shape(state.tokens)[0], starts))
    last = _last_tokens(state, size - 1)
    for i in range(size - 1):
        repeated = ops.logical_and(repeated, state.tokens[:, i : i + starts] == last[:, i : i + 1])
    return occurring(state.tokens[:, size - 1 :], vocab_size, where=repeated)


def _completed_words(state: DecodeState, words: tuple[tuple[int, ...], ...], vocab_size: int):
    """`(B, V)` boolean: the last tokens of the words whose others have just come."""
    longest = max(map(len, words))
    anything = -2
    padded = np.array([(anything,) * (longest - len(word)) + word for word in words], "int32")
    starts, ends = padded[:, :-1], padded[:, -1]
    last = _last_tokens(state, longest - 1)[:, None]  # (B, 1, longest - 1)
    complete = ops.all(ops.logical_or(starts == anything, last == starts), axis=-1)
    return occurring(ops.broadcast_to(ends, ops.shape(complete)), vocab_size, where=complete)


def _last_tokens(state: DecodeState, count: int):
    """`(B, count)`, -1 before the first column."""
    columns = state.index - count + ops.arange(count, dtype="int32")
    return ops.where(columns >= 0, ops.take(state.tokens, ops.maximum(columns, 0), axis=1), -1)
