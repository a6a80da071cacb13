"""Speculative decoding (Leviathan et al. 2023, Chen et al. 2023): a small model drafts, the large one checks.

The tokens are the large model's own, the likeliest or drawn from its distribution, whatever the draft. The rows of a
batch stay in step: a round appends as many tokens to each as the row with the fewest accepted ones gets.

Shape letters: B rows, C tokens drafted a round, V tokens of the vocabulary, S columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_tx.generation.loop import choose, forward, is_end, next_position, note_seen, put, read, repeat_until
from keras_tx.generation.processors import REMOVED, occurring, process
from keras_tx.generation.rows import repeat_rows, rewind
from keras_tx.generation.sampling import draw, probabilities, step_seed, warp
from keras_tx.generation.state import DecodeState, Decoding
from keras_tx.ops.primitives import argmax, write

DRAFT, ACCEPT, REPLACE = 1, 2, 3
"""Streams of draws."""


class Caches(NamedTuple):
    """The state of speculative decoding, which a loop carries in the place of the cache.

    Attributes:
        target: the checking model's cache; it holds all columns but the last.
        draft: the drafting model's, likewise.
        odds: `(B, C + 1, V)`, room for the distributions that drafts are drawn from; `()` if none are.
    """

    target: Any
    draft: Any
    odds: Any


def prefill(
    step: Callable,
    draft: Callable,
    decoding: Decoding,
    ids,
    attention_mask,
    cache,
    draft_cache,
    controls: dict,
    seed,
    prompt=None,
) -> DecodeState:
    """Reads the prompt with both models and chooses the first token.

    Args:
        step: the checking model's, as of `loop`; with None for `last` it gives logits after all ids, `(B, T, V)`.
        draft: the drafting model's, as of `loop`.
        decoding: `candidates` is how many tokens are drafted at a time.
        ids, attention_mask: as for `loop.prefill`.
        cache, draft_cache: of the two models, both empty and S slots long.
        controls, seed, prompt: as for `loop.prefill`.
    """
    logits, state = read(step, decoding, ids, attention_mask, cache, prompt)
    _, drafted = read(draft, decoding, ids, attention_mask, draft_cache, prompt)
    vocab_size = logits.shape[-1]
    odds = ops.zeros((ops.shape(ids)[0], decoding.candidates + 1, vocab_size)) if decoding.do_sample else ()
    state = state._replace(cache=Caches(state.cache, drafted.cache, odds))
    state = note_seen(state, ids, attention_mask, vocab_size, controls)
    logits, state = repeat_rows((logits, state), decoding.num_samples)
    return choose(state, decoding, logits, controls, seed)


def decode(
    step: Callable, draft: Callable, decoding: Decoding, state: DecodeState, until, controls: dict, seed
) -> DecodeState:
    """Drafts and checks until `until` columns are filled or every row is finished."""

    def advance(state: DecodeState) -> DecodeState:
        drafted = _draft(draft, decoding, state, controls, seed)
        logits, target = _check(step, decoding, state, drafted, controls)
        shape = (ops.shape(logits)[0], decoding.candidates)
        proposed = ops.slice(drafted.tokens, (0, state.index), shape)
        if decoding.do_sample:
            odds = drafted.cache.odds[:, :-1]
            accepted, tokens = _accept_drawn(decoding, proposed, odds, logits, controls, seed, state.index)
        else:
            tokens = argmax(logits)
            accepted = proposed == tokens[:, :-1]
        state = _append_accepted(state, decoding, accepted, tokens, until)
        return state._replace(cache=rewind(drafted.cache._replace(target=target), state.index - 1))

    return repeat_until(until, advance, state)


def _draft(draft: Callable, decoding: Decoding, state: DecodeState, controls: dict, seed) -> DecodeState:
    """The state with C drafted tokens appended, and one more.

    The one more is not used: drawing it takes the last of the C into the cache.
    """
    count = decoding.candidates + 1

    def body(i, *state):
        state = DecodeState(*state)
        caches = state.cache
        logits, cache = forward(draft, decoding, state._replace(cache=caches.draft))
        logits = process(ops.cast(logits, "float32"), state, decoding, controls)
        odds = caches.odds
        if decoding.do_sample:
            logits = warp(logits, controls, decoding.top_k)
            odds = write(odds, probabilities(logits)[:, None], i, axis=1)
            chosen = draw(logits, step_seed(seed, state.index, DRAFT))
        else:
            chosen = argmax(logits)
        state = state._replace(cache=caches._replace(draft=cache, odds=odds))
        return i + 1, *put(state, chosen)

    _, *drafted = ops.while_loop(lambda i, *_: i < count, body, (ops.zeros((), "int32"), *state))
    return DecodeState(*drafted)


def _check(step: Callable, decoding: Decoding, state: DecodeState, drafted: DecodeState, controls: dict) -> tuple:
    """The processed logits after the last column and each drafted one, `(B, C + 1, V)`, and the cache.

    Args:
        step: the checking model's.
        decoding: the loop's fixed choices.
        state: before the draft.
        drafted: after it.
        controls: see `process`.
    """
    batch, count = ops.shape(state.tokens)[0], decoding.candidates + 1
    ids = ops.slice(drafted.tokens, (0, state.index - 1), (batch, count))
    ahead = ops.arange(count, dtype="int32")
    positions = ops.minimum(next_position(decoding, state)[:, None] - 1 + ahead, decoding.length - 1)
    logits, cache = step(ids, positions, drafted.valid, state.cache.target, None)
    logits = ops.cast(logits, "float32")
    processed = []
    for i in range(count):
        processed.append(process(logits[:, i], state, decoding, controls))
        state = put(state, ids[:, min(i + 1, count - 1)])
    return ops.stack(processed, axis=1), cache


def _accept_drawn(decoding: Decoding, proposed, odds, logits, controls: dict, seed, index) -> tuple:
    """Returns which drafts are accepted, and the tokens of their columns and of the one after.

    With p the checking model's distribution and q the drafting one's, a draft x is accepted with probability
    min(1, p(x) / q(x)), and replaced otherwise by a draw from max(p - q, 0) made to sum to 1; the token it gives is
    distributed as p. The token after the drafts is a draw from p.

    Args:
        decoding: the loop's fixed choices.
        proposed: `(B, C)`, the drafts.
        odds: `(B, C, V)`, q.
        logits: `(B, C + 1, V)`, of p before `warp`.
        controls: see `warp`.
        seed: of the whole text.
        index: int32 scalar, the column of the first draft.

    Returns:
        `(B, C)` boolean and `(B, C + 1)` int32.
    """
    batch, count, vocab_size = ops.shape(logits)
    flat = warp(ops.reshape(logits, (-1, vocab_size)), controls, decoding.top_k)
    p = ops.reshape(probabilities(flat), (batch, count, vocab_size))
    p_x, q_x = (ops.take_along_axis(x, proposed[:, :, None], axis=2)[:, :, 0] for x in (p[:, :-1], odds))
    accepted = keras.random.uniform(ops.shape(p_x), seed=step_seed(seed, index, ACCEPT)) * q_x < p_x
    rest = ops.concatenate([ops.maximum(p[:, :-1] - odds, 0.0), p[:, -1:]], axis=1)
    rest = ops.where(rest > 0, ops.log(ops.maximum(rest, 1e-38)), REMOVED)
    drawn = draw(ops.reshape(rest, (-1, vocab_size)), step_seed(seed, index, REPLACE))
    drawn = ops.reshape(drawn, (batch, count))
    return accepted, ops.concatenate([ops.where(accepted, proposed, drawn[:, :-1]), drawn[:, -1:]], axis=1)


def _append_accepted(state: DecodeState, decoding: Decoding, accepted, tokens, until) -> DecodeState:
    """Appends the accepted drafts that all rows have, and the token after them.

    Args:
        state: before the draft.
        decoding: the loop's fixed choices.
        accepted: `(B, C)` boolean.
        tokens: `(B, C + 1)`: the drafts where accepted, the checking model's own tokens elsewhere.
        until: how many columns may be filled.
    """
    ahead = ops.arange(decoding.candidates + 1, dtype="int32")
    run = ops.sum(ops.cumprod(ops.cast(accepted, "int32"), axis=1), axis=1)
    ends = is_end(tokens, decoding)
    earlier = ops.cumsum(ops.cast(ends, "int32"), axis=1) - ops.cast(ends, "int32")
    over = ops.logical_or(state.finished[:, None], earlier > 0)  # (B, C + 1): the row has ended before
    met_end = ops.any(ops.logical_and(ends, ahead <= run[:, None]), axis=1)
    # A row that has ended holds nobody up; columns past the end of every row are not appended.
    run = ops.where(ops.logical_or(state.finished, met_end), decoding.candidates, run)
    needed = ops.sum(ops.cast(ops.any(ops.logical_not(over), axis=0), "int32"))
    count = ops.minimum(ops.minimum(ops.min(run) + 1, needed), until - state.index)
    kept = ahead < count
    tokens = ops.where(over, decoding.pad_token_id, tokens)
    slots = ops.arange(decoding.slots, dtype="int32")
    new = ops.logical_and(slots >= state.index, slots < state.index + count)
    seen = state.seen
    if not isinstance(seen, tuple):
        appended = ops.broadcast_to(kept, ops.shape(tokens))
        seen = ops.logical_or(seen, occurring(tokens, seen.shape[-1], where=appended))
    return state._replace(
        tokens=write(state.tokens, tokens, state.index, axis=1),
        valid=ops.logical_or(state.valid, new),
        index=state.index + count,
        finished=ops.logical_or(state.finished, ops.any(ops.logical_and(ends, kept), axis=1)),
        seen=seen,
    )
