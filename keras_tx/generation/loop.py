"""The decode loop: a prompt is read at once into the cache, then tokens follow one by one.

It is written against a step function, not a model:

    step(ids (B, T), position_ids (B, T), attention_mask (B, L), cache, last (B,)) -> logits (B, V), cache

where `last` says after which of the T ids each row wants its logits. Column c of the token buffer lies in slot c of
the cache; padding keeps its column and is masked, so prompts may be padded on either side.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from keras_tx.generation.sampling import next_token
from keras_tx.ops.primitives import write


@dataclasses.dataclass(frozen=True)
class Decoding:
    """What a compiled loop is specialized to.

    Attributes:
        length: columns of the token buffer, L: the prompt's and the new tokens'.
        do_sample: draw tokens, or take the likeliest.
        top_k: draw from this many of the likeliest; None or 0 for all.
        eos_token_ids: tokens that end a row.
        pad_token_id: what follows them.
    """

    length: int
    do_sample: bool = False
    top_k: int | None = None
    eos_token_ids: tuple[int, ...] = ()
    pad_token_id: int = 0


class DecodeState(NamedTuple):
    """The state between two steps.

    Attributes:
        tokens: `(B, L)` int32: prompt, new tokens, padding.
        valid: `(B, L)` boolean: the columns that hold tokens to look at.
        index: int32 scalar, how many columns are filled.
        finished: `(B,)` boolean: rows that met an end token.
        seen: `(B, V)` boolean, the tokens so far, if there is a repetition penalty; `()` otherwise.
        cache: the model's cache.
    """

    tokens: Any
    valid: Any
    index: Any
    finished: Any
    seen: Any
    cache: Any


def prefill(step: Callable, decoding: Decoding, ids, attention_mask, cache, controls: dict, seed) -> DecodeState:
    """Reads the prompt and chooses the first token.

    Args:
        step: see above.
        decoding: the loop's fixed choices.
        ids: the prompts, int32 `(B, P)`, P < L.
        attention_mask: `(B, P)`, 0 at padding; at least one column of each row is not.
        cache: empty, L slots long.
        controls: see `next_token`.
        seed: uint32 scalar that all draws derive from.
    """
    batch, prompt = ops.shape(ids)
    mask = ops.cast(attention_mask, "int32")
    free = decoding.length - prompt
    tokens = ops.concatenate([ids, ops.full((batch, free), decoding.pad_token_id, "int32")], axis=1)
    valid = ops.concatenate([ops.cast(mask, "bool"), ops.zeros((batch, free), "bool")], axis=1)
    positions = ops.maximum(ops.cumsum(mask, axis=1) - 1, 0)
    last = ops.max(ops.arange(prompt, dtype="int32") * mask, axis=1)
    logits, cache = step(ids, positions, valid, cache, last)
    seen = _occurring(ids, logits.shape[-1]) if "repetition_penalty" in controls else ()
    index = ops.convert_to_tensor(prompt, "int32")
    finished = ops.zeros((batch,), "bool")
    return _append(DecodeState(tokens, valid, index, finished, seen, cache), decoding, logits, controls, seed)


def decode(step: Callable, decoding: Decoding, state: DecodeState, until, controls: dict, seed) -> DecodeState:
    """Steps until `until` columns are filled or every row is finished."""

    def unfinished(*state):
        state = DecodeState(*state)
        return ops.logical_and(state.index < until, ops.logical_not(ops.all(state.finished)))

    def advance(*state):
        state = DecodeState(*state)
        batch = ops.shape(state.tokens)[0]
        ids = ops.slice(state.tokens, (0, state.index - 1), (batch, 1))
        positions = ops.sum(ops.cast(state.valid, "int32"), axis=1, keepdims=True) - 1
        logits, cache = step(ids, positions, state.valid, state.cache, ops.zeros((batch,), "int32"))
        return tuple(_append(state._replace(cache=cache), decoding, logits, controls, seed))

    return DecodeState(*ops.while_loop(unfinished, advance, tuple(state)))


def _append(state: DecodeState, decoding: Decoding, logits, controls: dict, seed) -> DecodeState:
    """Chooses the next token of each row and writes it into the next column."""
    key = ops.stack([seed, ops.cast(state.index, "uint32")])
    chosen = next_token(logits, controls, do_sample=decoding.do_sample, top_k=decoding.top_k, key=key, seen=state.seen)
    chosen = ops.where(state.finished, decoding.pad_token_id, chosen)
    ended = state.finished
    for token in decoding.eos_token_ids:
        ended = ops.logical_or(ended, chosen == token)
    seen = state.seen
    if "repetition_penalty" in controls:
        seen = ops.logical_or(seen, _occurring(chosen[:, None], logits.shape[-1]))
    return DecodeState(
        tokens=write(state.tokens, chosen[:, None], state.index, axis=1),
        valid=write(state.valid, ops.ones_like(chosen[:, None], dtype="bool"), state.index, axis=1),
        index=state.index + 1,
        finished=ended,
        seen=seen,
        cache=state.cache,
    )


def _occurring(ids, vocab_size: int):
    """`(B, V)` boolean: which tokens occur in each row of `ids`, `(B, T)`."""
    return ops.cast(ops.max(ops.one_hot(ids, vocab_size, dtype="int8"), axis=1), "bool")
