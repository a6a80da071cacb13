"""The ways to continue a text, each as functions compiled for one model."""

from __future__ import annotations

from collections.abc import Callable

from keras_tx.generation import contrastive, loop, speculative
from keras_tx.generation.beam import beam_search
from keras_tx.generation.compiled import Compiled
from keras_tx.generation.state import Decoding


def compiled_method(model, decoding: Decoding, assistant=None) -> tuple[Compiled, ...]:
    """The functions of the method that these choices mean, compiled when they are first called.

    Beam search is one function, of `(ids, attention_mask, decoder, controls, seed)`, which gives `Found`. All
    others are two on `DecodeState`s: the start of a loop, of the same, and its continuation, of
    `(state, until, controls, seed)`. The first three arguments are those of `Prompts`.

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

    def search(ids, mask, decoder, controls, seed):
        prompt, prompt_mask, cache = model.begin(ids, mask, decoding.slots, decoder)
        return beam_search(model.decode_step, decoding, prompt, prompt_mask, cache, controls, seed)

    return Compiled(search, model)


def _loop(model, decoding: Decoding, assistant) -> tuple[Compiled, Compiled]:
    method, steps, models = _method(model, decoding, assistant)

    def start(ids, mask, decoder, controls, seed):
        prompt, prompt_mask, cache = model.begin(ids, mask, decoding.slots, decoder)
        caches = [cache, *(other.begin(ids, mask, decoding.slots, decoder)[-1] for other in models[1:])]
        return method.prefill(*steps, decoding, prompt, prompt_mask, *caches, controls, seed)

    def continuation(state, until, controls, seed):
        return method.decode(*steps, decoding, state, until, controls, seed)

    return Compiled(start, *models), Compiled(continuation, *models)


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
