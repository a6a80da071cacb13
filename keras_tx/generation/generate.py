"""`generate` and `stream`, for every model with a `decode_step`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_tx.generation.compiled import Compiled
from keras_tx.generation.loop import DecodeState, Decoding, decode, prefill
from keras_tx.ops.checks import require_below, require_integer, require_rank


class GenerationMixin:
    """Gives a model `generate` and `stream`.

    Attributes:
        config: has `vocab_size` and `max_positions`.
        decode_step: the loop's step function, `(ids, position_ids, attention_mask, cache, last)`.
        init_cache: gives an empty cache for `(batch_size, length)`.
    """

    config: Any
    decode_step: Callable
    init_cache: Callable

    def generate(self, input_ids, **options):
        """Continues prompts; names and meaning of the arguments are Transformers'.

        The loop is compiled by XLA once for each shape of the prompts, length of the result and choice of
        `do_sample`, `top_k` and end tokens; a second such call compiles nothing.

        Args:
            input_ids: prompts, int32 `(B, P)`.
            attention_mask: `(B, P)`, 0 at padding, on either side; None if there is none.
            max_new_tokens: how many tokens to add at most.
            max_length: length of prompt and new tokens together, if `max_new_tokens` is not given; 20 by default.
            do_sample: draw tokens; otherwise take the likeliest (greedy).
            temperature: divides the logits when drawing.
            top_k: draw from this many of the likeliest tokens; 0 for all.
            top_p: draw from the likeliest tokens that together reach this probability.
            min_p: do not draw tokens less likely than this share of the likeliest.
            repetition_penalty: above 1 makes tokens that occurred less likely.
            eos_token_id: a token, or several, that end a row.
            pad_token_id: what fills a row after its end; the first end token unless given.
            seed: makes the draws repeatable; None draws one from Keras's global generator.

        Returns:
            int32 `(B, length)`: prompts and continuations, as long as the longest row.

        Raises:
            ValueError: for ids outside the vocabulary, an empty prompt, a mask of another shape, a length the model
                has no positions for, and controls out of range.
        """
        *_, state = self._advance(input_ids, chunk=None, **options)
        return state.tokens[:, : int(state.index)]

    def stream(self, input_ids, *, chunk: int = 1, **options) -> Iterator[np.ndarray]:
        """The new tokens of `generate` as they come, `(B, n)` at a time with n at most `chunk`.

        Together they are the same tokens that `generate` returns. Takes `generate`'s arguments.
        """
        if chunk < 1:
            raise ValueError(f"`chunk` must be at least 1; got {chunk}.")
        shown = input_ids.shape[1] if hasattr(input_ids, "shape") else np.asarray(input_ids).shape[1]
        for state in self._advance(input_ids, chunk=chunk, **options):
            filled = int(state.index)
            yield ops.convert_to_numpy(state.tokens)[:, shown:filled]
            shown = filled

    def _advance(
        self,
        input_ids,
        *,
        chunk: int | None,
        attention_mask=None,
        max_new_tokens: int | None = None,
        max_length: int = 20,
        do_sample: bool = False,
        temperature: float = 1.0,
        top_k: int | None = 50,
        top_p: float = 1.0,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        eos_token_id: int | Sequence[int] | None = None,
        pad_token_id: int | None = None,
        seed: int | None = None,
    ) -> Iterator[DecodeState]:
        """The states after every `chunk` tokens, or only the last one."""
        ids, mask = self._prompts(input_ids, attention_mask)
        prompt = ids.shape[1]
        length = max_length if max_new_tokens is None else prompt + max_new_tokens
        self._check_length(prompt, length)
        ends = () if eos_token_id is None else tuple(np.atleast_1d(eos_token_id).tolist())
        pad = pad_token_id if pad_token_id is not None else (ends[0] if ends else 0)
        decoding = Decoding(length, do_sample, top_k if do_sample else None, ends, pad)
        controls = _controls(do_sample, temperature, top_k, top_p, min_p, repetition_penalty)
        controls = {name: ops.convert_to_tensor(value, "float32") for name, value in controls.items()}
        seed = ops.convert_to_tensor(_seed(seed), "uint32")
        start, step = self._compiled_loop(decoding)
        state = start(ids, mask, controls, seed)
        filled = prompt + 1
        while filled < length:
            if chunk is not None:
                yield state
                if bool(ops.all(state.finished)):
                    return
            filled = length if chunk is None else min(filled + chunk, length)
            state = step(state, ops.convert_to_tensor(filled, "int32"), controls, seed)
        yield state

    def _compiled_loop(self, decoding: Decoding) -> tuple[Compiled, Compiled]:
        """The compiled `prefill` and `decode` for these choices, made once."""
        loops = self.__dict__.setdefault("_loops", {})
        if decoding not in loops:

            def start(ids, mask, controls, seed):
                cache = self.init_cache(ops.shape(ids)[0], decoding.length)
                return prefill(self.decode_step, decoding, ids, mask, cache, controls, seed)

            def step(state, until, controls, seed):
                return decode(self.decode_step, decoding, state, until, controls, seed)

            loops[decoding] = Compiled(start, self), Compiled(step, self)
        return loops[decoding]

    def _prompts(self, input_ids, attention_mask):
        ids = ops.convert_to_tensor(input_ids)
        require_rank(ids, 2, "input_ids", "(batch, length)")
        require_integer(ids, "input_ids")
        if 0 in ids.shape:
            raise ValueError(f"`input_ids` must hold at least one token a row; got shape {tuple(ids.shape)}.")
        require_below(ids, self.config.vocab_size, "input_ids", "vocab_size")
        mask = ops.ones(ids.shape, "int32") if attention_mask is None else ops.cast(attention_mask, "int32")
        if tuple(mask.shape) != tuple(ids.shape):
            raise ValueError(
                f"`attention_mask` must have the shape of `input_ids` {tuple(ids.shape)}; got {tuple(mask.shape)}."
            )
        if not ops.convert_to_numpy(mask).any(axis=1).all():
            raise ValueError("`attention_mask` hides every token of a row: give each row at least one.")
        return ops.cast(ids, "int32"), mask

    def _check_length(self, prompt: int, length: int) -> None:
        if length <= prompt:
            raise ValueError(
                f"nothing to generate: the prompt is {prompt} tokens and the result {length}; "
                "raise `max_length` or give `max_new_tokens` of at least 1."
            )
        limit = self.config.max_positions
        if limit is not None and length > limit:
            raise ValueError(
                f"prompt and new tokens are {length} together, more than the model's `max_positions` = {limit}: "
                "shorten the prompt or generate less."
            )


def _controls(do_sample, temperature, top_k, top_p, min_p, repetition_penalty) -> dict[str, float]:
    """The controls that change something.

    Raises:
        ValueError: for one out of range.
    """
    for name, value, allowed, valid in (
        ("temperature", temperature, "above 0", temperature > 0),
        ("top_k", top_k, "at least 0", top_k is None or top_k >= 0),
        ("top_p", top_p, "in (0, 1]", 0 < top_p <= 1),
        ("min_p", min_p, "in [0, 1]", 0 <= min_p <= 1),
        ("repetition_penalty", repetition_penalty, "above 0", repetition_penalty > 0),
    ):
        if not valid:
            raise ValueError(f"`{name}` must be {allowed}; got {value}.")
    neutral = {"temperature": 1.0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0}
    given = dict(zip(neutral, (temperature, top_p, min_p, repetition_penalty), strict=True))
    counts = neutral if do_sample else ("repetition_penalty",)
    return {name: float(given[name]) for name in counts if given[name] != neutral[name]}


def _seed(seed: int | None) -> int:
    if seed is None:
        return int(keras.random.randint((), 0, 2**31 - 1))
    if not 0 <= seed < 2**32:
        raise ValueError(f"`seed` must lie in [0, 2**32); got {seed}.")
    return seed
