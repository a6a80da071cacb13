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
        decoding: has the rules, as `GenerationConfig` explains them.
        controls: `repetition_penalty` divides the positive and multiplies the negative logits of tokens seen
            (Keskar et al. 2019). The others are columns: `min_length`, before which end tokens must not come;
            `forced_bos`, `forced_eos` and `begin`, of the tokens that are forced or suppressed there; `decay_start`,
            after which end tokens become likelier by `decay_factor`.

    Returns:
        `(B, V)` float32.
    """
    vocab_size = logits.shape[-1]
    if decoding.sequence_bias:
        logits = logits + _bias(state, decoding.sequence_bias, vocab_size)
    if "repetition_penalty" in controls:
        penalty = controls["repetition_penalty"]
        logits = ops.where(state.seen, ops.where(logits < 0, logits * penalty, logits / penalty), logits)
    if decoding.no_repeat_ngram_size:
        repeated = _completed_ngrams(state, decoding, vocab_size)
        logits = ops.where(repeated, REMOVED, logits)
    if decoding.bad_words_ids:
        logits = ops.where(_completed_words(state, decoding.bad_words_ids, vocab_size), REMOVED, logits)
    if "min_length" in controls:
        short = _column(state) < controls["min_length"]
        logits = ops.where(ops.logical_and(short, _among(decoding.eos_token_ids, vocab_size)), REMOVED, logits)
    return _constrain(logits, state, decoding, controls)


def _constrain(logits, state: DecodeState, decoding: Decoding, controls: dict):
    """The rules that do not ask which tokens have come, but for the user's own; see `process`."""
    vocab_size = logits.shape[-1]
    if decoding.prefix_allowed_tokens_fn is not None:
        logits = _allowed(logits, state, decoding)
    for name, tokens in (("forced_bos", decoding.forced_bos_token_ids), ("forced_eos", decoding.forced_eos_token_ids)):
        if name in controls:
            alone = ops.where(_among(tokens, vocab_size), 0.0, REMOVED)
            logits = ops.where(_column(state) == controls[name], alone, logits)
    if "decay_start" in controls:
        since = ops.maximum(_column(state) - controls["decay_start"], 0.0)
        nearer = ops.abs(logits) * (controls["decay_factor"] ** since - 1.0)
        ends = ops.logical_and(_among(decoding.eos_token_ids, vocab_size), logits > REMOVED / 2)
        logits = ops.where(ends, logits + nearer, logits)
    if decoding.suppress_tokens:
        logits = ops.where(_among(decoding.suppress_tokens, vocab_size), REMOVED, logits)
    if "begin" in controls:
        first = _column(state) == controls["begin"]
        barred = ops.logical_and(first, _among(decoding.begin_suppress_tokens, vocab_size))
        logits = ops.where(barred, REMOVED, logits)
    for processor in decoding.logits_processor:
        logits = ops.cast(processor(tokens_so_far(state.tokens, state.index), logits), "float32")
    return logits


def tokens_so_far(tokens, count):
    """The tokens for a function of the user's: `(B, S)`, the last of them in the last column, -1 before the first.

    So the function may take them from the end, as in Transformers, whatever their number.

    Args:
        tokens: `(B, S)`.
        count: int32 scalar, how many columns are filled.
    """
    return _last_tokens(tokens, count, ops.shape(tokens)[1])


def _allowed(logits, state: DecodeState, decoding: Decoding):
    """The logits with the tokens removed that the user's function does not allow.

    Where nothing that it allows was left by other rules, in any beam of a prompt, what it allows comes all the same.
    """
    rows = ops.arange(ops.shape(logits)[0], dtype="int32") // decoding.num_beams
    allowed = decoding.prefix_allowed_tokens_fn(rows, tokens_so_far(state.tokens, state.index))  # type: ignore[misc]
    alone = ops.where(ops.cast(allowed, "bool"), 0.0, REMOVED)
    logits = logits + alone
    hopeless = ops.reshape(ops.max(logits, axis=-1) <= REMOVED / 2, (-1, decoding.num_beams))
    hopeless = ops.repeat(ops.all(hopeless, axis=1), decoding.num_beams)[:, None]
    return ops.where(hopeless, alone, logits)


def _column(state: DecodeState):
    """The column that the next token fills, float32, as controls are."""
    return ops.cast(state.index, "float32")


def _among(tokens: tuple[int, ...], vocab_size: int) -> np.ndarray:
    """`(V,)` boolean: which tokens are among these."""
    return np.isin(np.arange(vocab_size), tokens)


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


def _completed_ngrams(state: DecodeState, decoding: Decoding, vocab_size: int):
    """`(B, V)` boolean: the tokens that make the last `no_repeat_ngram_size` tokens a run that occurred."""
    size = decoding.no_repeat_ngram_size
    batch, columns = ops.shape(state.tokens)
    starts = columns - size + 1  # how many runs the buffer holds
    if isinstance(starts, int) and starts < 1:
        return ops.zeros((1, vocab_size), "bool")
    starts = starts if isinstance(starts, int) else ops.maximum(starts, 0)
    repeated = ops.arange(starts, dtype="int32") + size <= state.index
    repeated = ops.broadcast_to(repeated, (batch, starts))
    last = _last_tokens(state.tokens, state.index, size - 1)
    for i in range(size - 1):
        repeated = ops.logical_and(repeated, state.tokens[:, i : i + starts] == last[:, i : i + 1])
    if not decoding.padding_repeats:
        for i in range(size):
            repeated = ops.logical_and(repeated, state.valid[:, i : i + starts])
    return occurring(state.tokens[:, size - 1 :], vocab_size, where=repeated)


def _completed_words(state: DecodeState, words: tuple[tuple[int, ...], ...], vocab_size: int):
    """`(B, V)` boolean: the last tokens of the words whose others have just come."""
    complete, ends = _complete(state, words)
    return occurring(ops.broadcast_to(ends, ops.shape(complete)), vocab_size, where=complete)


def _bias(state: DecodeState, biases: tuple[tuple[tuple[int, ...], float], ...], vocab_size: int):
    """`(B, V)`: the sum of the biases of the runs that a token completes."""
    complete, ends = _complete(state, tuple(run for run, _ in biases))
    of_token = (ends[:, None] == np.arange(vocab_size)) * np.array([[bias] for _, bias in biases])
    return ops.matmul(ops.cast(complete, "float32"), of_token.astype("float32"))


def _complete(state: DecodeState, words: tuple[tuple[int, ...], ...]) -> tuple:
    """`(B, N)` boolean, the words of which all tokens but the last have just come, and their last tokens, `(N,)`."""
    longest = max(map(len, words))
    anything = -2
    padded = np.array([(anything,) * (longest - len(word)) + word for word in words], "int32")
    starts, ends = padded[:, :-1], padded[:, -1]
    last = _last_tokens(state.tokens, state.index, longest - 1)[:, None]  # (B, 1, longest - 1)
    return ops.all(ops.logical_or(starts == anything, last == starts), axis=-1), ends


def _last_tokens(tokens, filled, count):
    """The last `count` of the `filled` columns: `(B, count)`, -1 before the first column."""
    columns = filled - count + ops.arange(count, dtype="int32")
    return ops.where(columns >= 0, ops.take(tokens, ops.maximum(columns, 0), axis=1), -1)
