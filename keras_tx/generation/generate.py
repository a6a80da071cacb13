"""`generate` and `stream`, for every model with a `decode_step`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from keras_tx.generation.beam import Found
from keras_tx.generation.buckets import Extent, filled_up, of_buckets
from keras_tx.generation.compiled import Compiled
from keras_tx.generation.config import GenerateOutput, GenerationConfig
from keras_tx.generation.methods import compiled_method
from keras_tx.generation.processors import REMOVED
from keras_tx.generation.request import Request, asked, drawn_seed
from keras_tx.generation.state import DecodeState, Decoding
from keras_tx.ops.checks import known_values
from keras_tx.ops.gather import take_positions
from keras_tx.ops.primitives import portable_graph


class GenerationMixin:
    """Gives a model `generate` and `stream`.

    A model implements `hidden_step`, `logits` and `init_cache`; one that reads its prompt by an encoder, `begin` too.
    """

    config: Any
    """The model's config. It has `vocab_size`, and may have `bos_token_id`, `eos_token_id` and `pad_token_id`."""
    backbone: Any
    """The model below the head; its `width` is that of the hidden states."""
    max_positions: int | None
    """The largest number of tokens in a text; None if there is no limit."""
    prompt_vocab_size: int
    """The size of the vocabulary that prompts are made of."""
    reads_prompt: ClassVar[bool] = True
    """Whether the decoder goes on with the prompt itself; otherwise it writes a text of its own."""
    generation_config: GenerationConfig = GenerationConfig()
    """The options of the model's own, of its checkpoint's `generation_config.json`, where `generate` is given none."""

    def init_cache(self, batch_size, length: int):
        """An empty cache for `length` positions."""
        raise NotImplementedError

    def hidden_step(self, ids, position_ids, attention_mask, cache) -> tuple[Any, Any]:
        """The last hidden states of new tokens, and the cache with them.

        Args:
            ids, position_ids: `(B, T)`.
            attention_mask: `(B, S)`, over the cache's slots.
            cache: from `init_cache`.
        """
        raise NotImplementedError

    def logits(self, hidden):
        """The logits of the next token: `(..., d_model)` to `(..., vocab_size)`."""
        raise NotImplementedError

    def decode_step(self, ids, position_ids, attention_mask, cache, last):
        """The logits after position `last`, `(B,)`, of each row of `ids`: `(B, vocab_size)`, and the cache."""
        hidden, cache = self.hidden_step(ids, position_ids, attention_mask, cache)
        return self.logits(take_positions(hidden, last)), cache

    def check_prompts(self, attention_mask) -> None:
        """Raises ValueError for prompts that the model cannot continue.

        Args:
            attention_mask: `(B, P)`, 0 at padding; nothing is known of it while a graph is traced.
        """
        values = known_values(attention_mask)
        if values is not None and not values.any(axis=1).all():
            raise ValueError("`attention_mask` hides every token of a row: give each row at least one.")

    def generate(
        self,
        input_ids=None,
        attention_mask=None,
        *,
        decoder_input_ids=None,
        decoder_attention_mask=None,
        generation_config: GenerationConfig | None = None,
        assistant_model: GenerationMixin | None = None,
        seed: int | None = None,
        tokenizer: Any = None,
        streamer: Any = None,
        logits_processor: Iterable[Callable[[Any, Any], Any]] | None = None,
        stopping_criteria: Iterable[Callable[[Any, Any], Any]] | None = None,
        prefix_allowed_tokens_fn: Callable[[Any, Any], Any] | None = None,
        **options: Any,
    ):
        """Continues prompts: greedily, by drawing, by beam search, contrastive search or speculative decoding.

        Names and meaning of the arguments are Transformers', and equal arguments give equal tokens. The loop is
        compiled by XLA once for each choice of method, number of rows and power of two that the length of the result
        fits into (see `generation.buckets`); a second such call compiles nothing. With `output_scores`, and inside a
        function of the user's, `tf.function` or `jax.jit`, sizes are exact. There the loop becomes part of the
        function, and the result has all columns that it may have.

        The rules of the user's own are functions of tensors, which are compiled with the loop. The `input_ids` that
        they get are the tokens so far of all rows, `(R, S)` int32: the last one in the last column, -1 before the
        first. Give the same function again rather than a new one like it, or the loop is compiled again.

        Args:
            input_ids: prompts, int32 `(B, P)`; `bos_token_id` alone if None. Or a dict of these first four arguments,
                as a tokenizer gives it.
            attention_mask: `(B, P)`, 0 at padding, on either side. If None, `pad_token_id` is padding unless it is
                an end token.
            decoder_input_ids: what the text of an encoder-decoder begins with, int32 `(B, T)`, with or without its
                start token.
            decoder_attention_mask: `(B, T)`, 0 at padding.
            generation_config: the options, if they are not given one by one.
            assistant_model: a smaller model with the same vocabulary that drafts tokens, for this one to check
                several at once. The tokens are this model's own all the same.
            seed: makes the draws repeatable; None draws one from Keras's global generator, and inside a `tf.function`
                a new one whenever it runs.
            tokenizer: of the model, for `stop_strings`.
            streamer: is given the prompt and each token that follows by `put`, and told of the `end`: a `TextStreamer`.
            logits_processor: functions of `input_ids` and logits `(R, V)` that return other logits, after the rules
                among the options and before what is for drawing.
            stopping_criteria: functions of `input_ids`, and of None, that return which rows end, `(R,)`.
            prefix_allowed_tokens_fn: a function of the number of each row's prompt, `(R,)`, and `input_ids` that
                returns which tokens may come, boolean `(R, V)`.
            options: fields of `GenerationConfig`, in place of those of `generation_config`, of the model's
                `generation_config` and of its config; None switches one off, as `eos_token_id=None`.

        Returns:
            int32 `(B * num_return_sequences, length)`: prompts and continuations, as long as the longest row; with
            `return_dict_in_generate`, a `GenerateOutput`.

        Raises:
            TypeError: for an option that there is not; the message says which there are.
            ValueError: for ids outside the vocabulary, an empty prompt, a mask of another shape, a length the model
                has no positions for, options out of range or that exclude each other, and an assistant that does not
                fit.
        """
        request = asked(
            self,
            input_ids,
            attention_mask,
            decoder_input_ids=decoder_input_ids,
            decoder_attention_mask=decoder_attention_mask,
            generation_config=generation_config,
            assistant_model=assistant_model,
            seed=seed,
            tokenizer=tokenizer,
            logits_processor=logits_processor,
            stopping_criteria=stopping_criteria,
            prefix_allowed_tokens_fn=prefix_allowed_tokens_fn,
            **options,
        )
        if streamer is not None:
            _require_one_beam(request.config)
        if request.prompts.traced:
            output = self._in_graph(request)
        elif request.config.beams > 1:
            output = self._search(request)
        else:
            output = self._continued(request, streamer)
        return output if request.config.return_dict_in_generate else output.sequences

    def stream(self, input_ids=None, attention_mask=None, *, chunk: int = 1, **arguments: Any) -> Iterator[np.ndarray]:
        """The new tokens of `generate` as they come, `(B * num_return_sequences, n)` with n at most `chunk`.

        Together they are the same tokens that `generate` returns. Takes `generate`'s arguments.

        Raises:
            ValueError: for `num_beams` above 1, and as `generate` does.
        """
        if chunk < 1:
            raise ValueError(f"`chunk` must be at least 1; got {chunk}.")
        request = asked(self, input_ids, attention_mask, **arguments)
        _require_one_beam(request.config)
        shown = request.prompts.length
        for state in self._advance(request, chunk=chunk):
            tokens = self._shown(request, state)
            yield tokens[:, shown:]
            shown = tokens.shape[1]

    def begin(self, ids, attention_mask, length: int, decoder: tuple[Any, Any] | None = None) -> tuple:
        """Returns what the decoder begins with: ids, their mask, and an empty cache of `length` slots.

        Args:
            ids, attention_mask: the prompts, `(B, P)`.
            length: columns of the text.
            decoder: ids and mask that the decoder of an encoder-decoder begins with, unless it is its start token.
        """
        return ids, attention_mask, self.init_cache(ops.shape(ids)[0], length)

    def padded_length(self, prompt: int, slots: int) -> int:
        """Returns to how many columns prompts are filled up, for programs of so many slots.

        A model that goes on with its prompt reads no more of them than the prompt has.
        """
        return slots

    def _search(self, request: Request) -> GenerateOutput:
        """The best beams of each prompt, as long as the longest of them."""
        _, (search,), arguments = self._ready(request)
        found, prompt = search(*arguments), request.prompts.length
        rows, count = len(request.prompts.ids), request.config.num_return_sequences
        kept = (ops.convert_to_numpy(x)[:rows, :count] for x in found.best)
        tokens, scores, lengths = (x.reshape(-1, *x.shape[2:]) for x in kept)
        sequences = ops.convert_to_tensor(tokens[:, : prompt + int(lengths.max())])
        record = _scores(found.record, prompt, int(found.index))
        return GenerateOutput(sequences, ops.convert_to_tensor(scores), record)

    def _continued(self, request: Request, streamer: Any) -> GenerateOutput:
        """The prompts and what follows, as long as the longest row; shown to a streamer as it comes."""
        prompt = request.prompts.length
        if streamer is None:
            _, (whole, *_), arguments = self._ready(request)
            state = whole(*arguments)
        else:
            begun = request.prompts.ids if request.prompts.decoder is None else request.prompts.decoder[0]
            streamer.put(ops.convert_to_numpy(begun))
            for state in self._advance(request, chunk=1):
                streamer.put(self._shown(request, state)[:, -1])
            streamer.end()
        tokens = self._shown(request, state)
        return GenerateOutput(ops.convert_to_tensor(tokens), scores=_scores(state.scores, prompt, tokens.shape[1]))

    def _shown(self, request: Request, state: DecodeState) -> np.ndarray:
        """The tokens of the rows that were asked for, in the columns that are filled."""
        rows = len(request.prompts.ids) * (request.config.num_return_sequences or 1)
        return ops.convert_to_numpy(state.tokens)[:rows, : int(state.index)]

    def _in_graph(self, request: Request) -> GenerateOutput:
        """The result as part of a graph of the user's: all columns, and no operation that only XLA runs."""
        length, (whole, *_), arguments = self._ready(request)
        prompt = request.prompts.length
        with portable_graph() if keras.backend.backend() == "tensorflow" else nullcontext():
            result = whole.function(*arguments)
        if request.config.beams > 1:
            return _best(result, request.config)._replace(scores=_scores(result.record, prompt, length))
        return GenerateOutput(result.tokens[:, :length], scores=_scores(result.scores, prompt, length))

    def _advance(self, request: Request, *, chunk: int) -> Iterator[DecodeState]:
        """The states after every `chunk` tokens."""
        length, (_, start, step), arguments = self._ready(request)
        state, values, filled = start(*arguments), arguments[3:], request.prompts.length + 1
        while True:
            yield state
            if filled >= length or bool(ops.all(state.finished)):
                return
            filled = min(filled + chunk, length)
            state = step(state, ops.convert_to_tensor(filled, "int32"), *values)

    def _ready(self, request: Request) -> tuple[Any, tuple[Compiled, ...], tuple]:
        """Columns of the result, the functions, made once, and what they take: see `compiled_method`."""
        config, prompts, positions = request.config, request.prompts, _positions(self, request.assistant)
        prompt, length = prompts.length, config.length(prompts.length, positions)
        decoding = request.decoding(length)
        if not (prompts.traced or decoding.output_scores):
            decoding = of_buckets(decoding, self, len(prompts.ids), prompt, positions)
            columns = self.padded_length(prompts.ids.shape[1], decoding.slots)
            prompts = filled_up(prompts, decoding, columns)
        choices = decoding, request.assistant
        functions = compiled_method(self, *choices) if prompts.traced else self._kept(*choices)
        extent = Extent(*(ops.convert_to_tensor(count, "int32") for count in (prompt, length)))
        controls = config.controls(prompt, length)
        controls = {name: ops.cast(ops.convert_to_tensor(x), "float32") for name, x in controls.items()}
        seed = drawn_seed(request.seed, needed=bool(config.do_sample), traced=prompts.traced)
        return length, functions, (*prompts, extent, controls, seed)

    def _kept(self, decoding: Decoding, assistant: Any) -> tuple[Compiled, ...]:
        """The functions of these choices, kept for the next call."""
        loops = self.__dict__.setdefault("_loops", {})
        if (decoding, assistant) not in loops:
            loops[decoding, assistant] = compiled_method(self, decoding, assistant)
        return loops[decoding, assistant]


def _best(found: Found, config: GenerationConfig) -> GenerateOutput:
    """The best beams of each prompt, in all columns."""
    count = config.num_return_sequences
    kept = (x[:, :count] for x in (found.best.tokens, found.best.scores))
    return GenerateOutput(*(ops.reshape(x, (-1, *ops.shape(x)[2:])) for x in kept))


def _scores(scores, prompt: Any, filled: Any) -> tuple | None:
    """The logits of the new tokens, with -inf for what must not come; None if they were not kept."""
    if isinstance(scores, tuple):
        return None
    if not isinstance(prompt, int) or not isinstance(filled, int):
        raise ValueError("`output_scores` in a function of your own need prompts of a fixed length: one for each step.")
    scores = ops.where(scores <= REMOVED / 2, -np.inf, scores)
    return tuple(scores[:, i] for i in range(prompt, filled))


def _require_one_beam(config: GenerationConfig) -> None:
    if config.beams > 1:
        raise ValueError(
            "beams cannot be streamed: which one is the best is known at the end. Call `generate`, or stream with "
            "`num_beams=1`."
        )


def _positions(*models) -> int | None:
    """Returns how many positions every one of the models has; None if there is no limit."""
    limits = (model.max_positions for model in models if model is not None)
    return min((limit for limit in limits if limit is not None), default=None)
