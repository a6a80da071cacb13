"""The ways to continue a text, each as functions compiled for one model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from keras_tx.generation import contrastive, loop, speculative
from keras_tx.generation.beam import beam_search
from keras_tx.generation.buckets import Extent
from keras_tx.generation.compiled import Compiled
from keras_tx.generation.state import Decoding


def compiled_method(model, decoding: Decoding, assistant=None) -> tuple[Compiled, ...]:
    """The functions of the method that these choices mean, compiled when they are first called.

    Beam search is one function, of `(ids, attention_mask, decoder, extent, controls, seed)`, which gives `Found`. All
    others are three: the whole loop, of the same, which gives the last state, without its cache; its start, of the
    same, which gives a `DecodeState`; and its continuation, of `(state, until, extent, controls, seed)`. The first
    three arguments are those of `Prompts`.

    Raises:
        ValueError: for a method that needs more of the model than it has.
    """
    if decoding.num_beams > 1:
        return (_search(model, decoding),)
    return _loop(model, decoding, assistant)


def _search(model, decoding: Decoding) -> Compiled:
    if decoding.branches > model.config.vocab_size:
        raise ValueError(
            f"beam search compares {decoding.branches} tokens a beam, more than the vocabulary of "
            f"{model.config.vocab_size}: leave out `num_beams`, or some of `eos_token_id`."
        )

    def search(ids, mask, decoder, extent, controls, seed):
        prompt, prompt_mask, cache = model.begin(ids, mask, decoding.slots, decoder)
        told, count = _told(decoding, extent)
        return beam_search(model.decode_step, told, prompt, prompt_mask, cache, controls, seed, count)

    return Compiled(search, model)


def _loop(model, decoding: Decoding, assistant) -> tuple[Compiled, ...]:
    method, steps, models = _method(model, decoding, assistant)

    def start(ids, mask, decoder, extent, controls, seed):
        prompt, prompt_mask, cache = model.begin(ids, mask, decoding.slots, decoder)
        caches = [cache, *(other.begin(ids, mask, decoding.slots, decoder)[-1] for other in models[1:])]
        told, count = _told(decoding, extent)
        return method.prefill(*steps, told, prompt, prompt_mask, *caches, controls, seed, count)

    def continuation(state, until, extent, controls, seed):
        told, _ = _told(decoding, extent)
        return method.decode(*steps, told, state, until, controls, seed)

    def whole(ids, mask, decoder, extent, controls, seed):
        state = start(ids, mask, decoder, extent, controls, seed)
        return continuation(state, extent.length, extent, controls, seed)._replace(cache=())

    return tuple(Compiled(function, *models) for function in (whole, start, continuation))


def _told(decoding: Decoding, extent: Extent) -> tuple[Decoding, Any]:
    """The options with the length, as a program is told it, and how long a prompt is that lies in a buffer."""
    if decoding.columns is None:
        return decoding, None
    return dataclasses.replace(decoding, length=extent.length), None if decoding.chunk is None else extent.prompt


def _method(model, decoding: Decoding, assistant) -> tuple:
    """A module with `prefill` and `decode`, the functions it is written against, and the models they read."""
    if assistant is not None:
        return speculative, (_checking_step(model), assistant.decode_step), (model, assistant)
    if decoding.candidates:
        positions = model.max_positions
        if positions is not None and decoding.candidates >= positions:
            raise ValueError(
                f"contrastive search compares `top_k` = {decoding.candidates} tokens in one pass, which must be fewer "
                f"than the model's `max_positions` = {positions}: give a smaller `top_k`."
            )
        return contrastive, (_hidden_step(model), model.logits), (model,)
    return loop, (model.decode_step,), (model,)


def _hidden_step(model) -> Callable:
    """The step that gives the last layer's hidden states after all ids."""

    def step(ids, position_ids, attention_mask, cache, last):
        return model.hidden_step(ids, position_ids, attention_mask, cache)

    return step


def _checking_step(model) -> Callable:
    """The step that gives the logits after all ids, or with `last` after one of each row."""

    def step(ids, position_ids, attention_mask, cache, last):
        if last is not None:
            return model.decode_step(ids, position_ids, attention_mask, cache, last)
        hidden, cache = model.hidden_step(ids, position_ids, attention_mask, cache)
        return model.logits(hidden), cache

    return step
