"""The decode loop: a prompt is read at once into the cache, then tokens follow one by one.

It is written against a step function, not a model:

    step(ids (B, T), position_ids (B, T), attention_mask (B, S), cache, last (B,)) -> logits (B, V), cache

where `last` says after which of the T ids each row wants its logits. Column c of the token buffer lies in slot c of
the cache; padding keeps its column and is masked, so prompts may be padded on either side. A cache is a nested
structure of arrays with the batch first, and of scalars that count its filled slots.
"""

from __future__ import annotations

from collections.abc import Callable

from keras import ops

from keras_tx.generation.processors import occurring, process
from keras_tx.generation.rows import ending_at, filled, repeat_rows
from keras_tx.generation.sampling import next_token, scored, step_seed
from keras_tx.generation.state import DecodeState, Decoding
from keras_tx.generation.stopping import is_stopped
from keras_tx.ops.primitives import write


def prefill(
    step: Callable, decoding: Decoding, ids, attention_mask, cache, controls: dict, seed, prompt=None
) -> DecodeState:
    """Reads the prompt and chooses the first token.

    Args:
        step: see above.
        decoding: the loop's fixed choices.
        ids: the prompts, int32 `(B, P)`, P < L; or what they lie at the start of, `(B, S)`.
        attention_mask: of the same shape, 0 at padding; at least one column of each row is not.
        cache: empty, S slots long.
        controls: float scalars by name, whose values may change without compiling again; see `process` and `warp`.
        seed: uint32 scalar that all draws derive from.
        prompt: P, an int32 scalar, of ids `(B, S)`.
    """
    logits, state = read(step, decoding, ids, attention_mask, cache, prompt)
    state = note_seen(state, ids, attention_mask, logits.shape[-1], controls)
    logits, state = repeat_rows((logits, state), decoding.num_samples)
    if decoding.output_scores:
        state = state._replace(scores=ops.zeros((ops.shape(logits)[0], decoding.slots, logits.shape[-1])))
    return choose(state, decoding, logits, controls, seed)


def decode(step: Callable, decoding: Decoding, state: DecodeState, until, controls: dict, seed) -> DecodeState:
    """Steps until `until` columns are filled or every row is finished."""

    def advance(state: DecodeState) -> DecodeState:
        logits, cache = forward(step, decoding, state)
        return choose(state._replace(cache=cache), decoding, logits, controls, seed)

    return repeat_until(until, advance, state)


def repeat_until(until, advance: Callable[[DecodeState], DecodeState], state: DecodeState) -> DecodeState:
    """Applies `advance` until `until` columns are filled or every row is finished."""

    def unfinished(*state):
        state = DecodeState(*state)
        return ops.logical_and(state.index < until, ops.logical_not(ops.all(state.finished)))

    return DecodeState(*ops.while_loop(unfinished, lambda *state: tuple(advance(DecodeState(*state))), tuple(state)))


def read(step: Callable, decoding: Decoding, ids, attention_mask, cache, prompt=None) -> tuple:
    """Returns the logits after the prompt, `(B, V)`, and the state before the first token is chosen."""
    kept = None if decoding.chunk is None else ops.zeros((ops.shape(ids)[0], decoding.vocab_size), "float32")
    return read_into(kept, last_logits, step, decoding, ids, attention_mask, cache, prompt)


def last_logits(kept, logits, start, last):
    """The logits after each row's last token, `(B, V)` float32, of those before a chunk and the chunk's."""
    logits = ops.cast(logits, "float32")
    return logits if kept is None else ops.where((last >= start)[:, None], logits, kept)


def read_into(
    kept, keep: Callable, step: Callable, decoding: Decoding, ids, attention_mask, cache, prompt=None
) -> tuple:
    """Reads the prompt, at once or in chunks.

    Args:
        kept: what there is of the outputs before the first chunk; not used where the prompt is read at once.
        keep: from that, a chunk's outputs, the chunk's first column and each row's last one `(B,)`, to what there is
            after the chunk.
        step, decoding, ids, attention_mask, cache, prompt: as for `prefill`.

    Returns:
        What there is in the end, and the state before the first token is chosen.
    """
    batch, given = ops.shape(ids)
    prompt = given if prompt is None else prompt
    mask = ops.cast(attention_mask, "int32")
    positions = ops.maximum(ops.cumsum(mask, axis=1) - 1, 0)
    last = ops.max(ops.arange(given, dtype="int32") * mask, axis=1)
    free = decoding.slots - given
    tokens, valid = ids, ops.cast(mask, "bool")
    if not isinstance(free, int) or free:
        tokens = ops.concatenate([ids, ops.full((batch, free), decoding.pad_token_id, "int32")], axis=1)
        valid = ops.concatenate([valid, ops.zeros((batch, free), "bool")], axis=1)
    if decoding.chunk is None:
        outputs, cache = step(ids, positions, valid, cache, last)
        kept = keep(None, outputs, 0, last)
    else:
        count = decoding.chunk

        def read_chunk(start, kept, cache):
            columns = (ops.slice(x, (0, start), (batch, count)) for x in (ids, positions))
            outputs, cache = step(*columns, valid, cache, ops.clip(last - start, 0, count - 1))
            cache = filled(cache, ops.minimum(start + count, prompt))
            return start + count, keep(kept, outputs, start, last), cache

        carried = ops.zeros((), "int32"), kept, ending_at(cache, prompt)
        _, kept, cache = ops.while_loop(lambda start, *_: start < prompt, read_chunk, carried)
        cache = ending_at(cache, ops.convert_to_tensor(decoding.slots, "int32"))
    index, finished = ops.convert_to_tensor(prompt, "int32"), ops.zeros((batch,), "bool")
    return kept, DecodeState(tokens, valid, index, finished, (), cache)


def note_seen(state: DecodeState, ids, attention_mask, vocab_size: int, controls: dict) -> DecodeState:
    """Counts the prompt's tokens as seen, from the first that is no padding on, if there is a repetition penalty."""
    if "repetition_penalty" not in controls:
        return state
    begun = ops.cumsum(ops.cast(attention_mask, "int32"), axis=1) > 0
    prompt = ops.arange(ops.shape(ids)[1], dtype="int32") < state.index
    return state._replace(seen=occurring(ids, vocab_size, where=ops.logical_and(begun, prompt)))


def forward(step: Callable, decoding: Decoding, state: DecodeState) -> tuple:
    """Returns the outputs of `step` after the last column, and the cache."""
    batch = ops.shape(state.tokens)[0]
    ids = ops.slice(state.tokens, (0, state.index - 1), (batch, 1))
    positions = next_position(decoding, state)[:, None] - 1
    return step(ids, positions, state.valid, state.cache, ops.zeros((batch,), "int32"))


def next_position(decoding: Decoding, state: DecodeState):
    """`(B,)`: the position of the next column's token."""
    position = ops.sum(ops.cast(state.valid, "int32"), axis=1)
    # Candidates past the length are thrown away, but must not lie past the model's positions.
    return ops.minimum(position, decoding.length - 1) if decoding.candidates else position


def choose(state: DecodeState, decoding: Decoding, logits, controls: dict, seed) -> DecodeState:
    """Chooses the next token of each row by its logits, and appends it."""
    logits = process(ops.cast(logits, "float32"), state, decoding, controls)
    draws = step_seed(seed, state.index)
    chosen = next_token(logits, controls, do_sample=decoding.do_sample, top_k=decoding.top_k, seed=draws)
    if decoding.output_scores:
        scores = scored(logits, controls, decoding)
        state = state._replace(scores=write(state.scores, scores[:, None], state.index, axis=1))
    return append(state, decoding, chosen)


def append(state: DecodeState, decoding: Decoding, chosen) -> DecodeState:
    """Puts tokens `(B,)` into the next column, padding in finished rows, and sees which rows that ends.

    Without end tokens there is no padding, as in Transformers: a row that a stopping criterion ended is filled with
    what would have followed.
    """
    if decoding.eos_token_ids:
        chosen = ops.where(state.finished, decoding.pad_token_id, chosen)
    state = put(state, chosen)
    finished = ops.logical_or(state.finished, is_end(chosen, decoding))
    if decoding.stopping_criteria:
        finished = ops.logical_or(finished, is_stopped(state.tokens, state.index, decoding))
    return state._replace(finished=finished)


def put(state: DecodeState, tokens) -> DecodeState:
    """Puts tokens `(B,)` into the next column."""
    column = tokens[:, None]
    seen = state.seen
    if not isinstance(seen, tuple):
        seen = ops.logical_or(seen, occurring(column, seen.shape[-1]))
    return state._replace(
        tokens=write(state.tokens, column, state.index, axis=1),
        valid=write(state.valid, ops.ones_like(column, dtype="bool"), state.index, axis=1),
        index=state.index + 1,
        seen=seen,
    )


def is_end(tokens, decoding: Decoding):
    """Boolean of the tokens' shape: which are end tokens."""
    ends = ops.zeros_like(tokens, dtype="bool")
    for token in decoding.eos_token_ids:
        ends = ops.logical_or(ends, tokens == token)
    return ends
