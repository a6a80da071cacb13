"""Contrastive search (Su et al. 2022): likely tokens that are not too like what stands before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from keras_tx.generation.loop import append, last_logits, next_position, note_seen, read_into, repeat_until
from keras_tx.generation.processors import process
from keras_tx.generation.rows import rewind
from keras_tx.generation.sampling import probabilities
from keras_tx.generation.state import DecodeState, Decoding
from keras_tx.ops.gather import take_positions
from keras_tx.ops.primitives import argmax, write


class Context(NamedTuple):
    """The state of contrastive search, which a loop carries in the place of the cache.

    Attributes:
        cache: the model's; it holds all columns but the last.
        logits: `(B, V)`, after the last column.
        directions: `(B, S, D)` float32: the hidden states of all columns, one unit long.
    """

    cache: Any
    logits: Any
    directions: Any


def prefill(
    step: Callable, project: Callable, decoding: Decoding, ids, attention_mask, cache, controls: dict, seed, prompt=None
) -> DecodeState:
    """Reads the prompt and chooses the first token.

    Args:
        step: as of `loop`, but gives the hidden states of all T ids, `(B, T, D)`, and takes masks `(B, T, S)`.
        project: from hidden states to logits.
        decoding: `candidates` is how many of the likeliest tokens are compared.
        ids, attention_mask, cache, prompt: as for `loop.prefill`.
        controls: with `penalty_alpha`, the weight of the likeness against the probability.
        seed: not used; nothing is drawn.
    """

    def read_all(ids, positions, valid, cache, last):
        hidden, cache = step(ids, positions, valid, cache, last)
        return (project(take_positions(hidden, last)), _unit(hidden)), cache

    def directions_of_all(kept, outputs, start, last):
        logits, new = outputs
        if kept is None:
            return logits, ops.pad(new, ((0, 0), (0, decoding.slots - ops.shape(new)[1]), (0, 0)))
        return last_logits(kept[0], logits, start, last), write(kept[1], new, start, axis=1)

    kept = None
    if decoding.chunk is not None:
        shapes = (decoding.vocab_size,), (decoding.slots, decoding.width)
        kept = tuple(ops.zeros((ops.shape(ids)[0], *shape), "float32") for shape in shapes)
    reading = read_all, decoding, ids, attention_mask, cache, prompt
    (logits, directions), state = read_into(kept, directions_of_all, *reading)
    state = note_seen(state, ids, attention_mask, logits.shape[-1], controls)
    context = Context(rewind(state.cache, state.index - 1), logits, directions)
    return _advance(step, project, decoding, state._replace(cache=context), controls)


def decode(
    step: Callable, project: Callable, decoding: Decoding, state: DecodeState, until, controls: dict, seed
) -> DecodeState:
    """Steps until `until` columns are filled or every row is finished."""
    return repeat_until(until, lambda state: _advance(step, project, decoding, state, controls), state)


def _advance(step: Callable, project: Callable, decoding: Decoding, state: DecodeState, controls: dict) -> DecodeState:
    """Appends the candidate with the best balance of probability and likeness.

    One pass reads the last column, which the cache lacks, and all candidates beside each other in the slots after it,
    each of which sees the text and itself: the cache is never copied.
    """
    context = state.cache
    logits = process(ops.cast(context.logits, "float32"), state, decoding, controls)
    likelihood, candidates = ops.top_k(probabilities(logits), decoding.candidates)
    candidates = ops.cast(candidates, "int32")
    hidden, cache = _try(step, decoding, state, candidates)
    directions = _unit(hidden)
    likeness = ops.einsum("bcd,bsd->bcs", directions, context.directions)
    likeness = ops.max(ops.where(state.valid[:, None], likeness, -1.0), axis=-1)
    alpha = controls["penalty_alpha"]
    best = argmax((1 - alpha) * likelihood - alpha * likeness)[:, None]  # (B, 1)
    context = Context(
        cache=rewind(cache, state.index),
        logits=project(ops.take_along_axis(hidden, best[:, :, None], axis=1)[:, 0]),
        directions=write(
            context.directions, ops.take_along_axis(directions, best[:, :, None], axis=1), state.index, axis=1
        ),
    )
    chosen = ops.take_along_axis(candidates, best, axis=1)[:, 0]
    return append(state._replace(cache=context), decoding, chosen)


def _try(step: Callable, decoding: Decoding, state: DecodeState, candidates) -> tuple:
    """The hidden states of the candidates `(B, C)` as next tokens, `(B, C, D)`, and the cache."""
    batch, count = ops.shape(candidates)
    last = ops.slice(state.tokens, (0, state.index - 1), (batch, 1))
    position = next_position(decoding, state)[:, None]
    positions = ops.concatenate([position - 1, ops.repeat(position, count, axis=1)], axis=1)
    slots = ops.arange(decoding.slots, dtype="int32")
    own = slots[None, :] == state.index - 1 + ops.arange(count + 1, dtype="int32")[:, None]
    mask = ops.logical_or(state.valid[:, None], own[None])
    hidden, cache = step(ops.concatenate([last, candidates], axis=1), positions, mask, state.cache.cache, None)
    return hidden[:, 1:], cache


def _unit(hidden):
    """Normalizes vectors along the last axis to length 1, in float32."""
    hidden = ops.cast(hidden, "float32")
    return hidden / ops.sqrt(ops.maximum(ops.sum(hidden**2, axis=-1, keepdims=True), 1e-30))
