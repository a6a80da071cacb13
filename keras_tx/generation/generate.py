"""`generate` and `stream`, for every model with a `decode_step`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from keras_tx.generation.config import GenerateOutput, GenerationConfig
from keras_tx.generation.methods import compiled_method
from keras_tx.generation.state import DecodeState
from keras_tx.ops.checks import require_below, require_integer, require_rank
from keras_tx.ops.gather import take_positions


class GenerationMixin:
    """Gives a model `generate` and `stream`.

    A model implements `hidden_step`, `logits` and `init_cache`; one that reads its prompt by an encoder, `begin` too.
    """

    config: Any
    """The model's config. It has `vocab_size`, and may have `bos_token_id`, `eos_token_id` and `pad_token_id`."""
    max_positions: int | None
    """The largest number of tokens in a text; None if there is no limit."""
    prompt_vocab_size: int
    """The size of the vocabulary that prompts are made of."""
    reads_prompt: ClassVar[bool] = True
    """Whether the decoder goes on with the prompt itself; otherwise it writes a text of its own."""

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

    def generate(
        self,
        input_ids=None,
        attention_mask=None,
        *,
        generation_config: GenerationConfig | None = None,
        assistant_model: GenerationMixin | None = None,
        seed: int | None = None,
        **options: Any,
    ):
        """Continues prompts: greedily, by drawing, by beam search, contrastive search or speculative decoding.

        Names and meaning of the arguments are Transformers', and equal arguments give equal tokens. The loop is
        compiled by XLA once for each shape of the prompts, length of the result and choice of method; a second such
        call compiles nothing.

        Args:
            input_ids: prompts, int32 `(B, P)`; `bos_token_id` alone if None.
            attention_mask: `(B, P)`, 0 at padding, on either side. If None, `pad_token_id` is padding unless it is
                an end token.
            generation_config: the options, if they are not given one by one.
            assistant_model: a smaller model with the same vocabulary that drafts tokens, for this one to check
                several at once. The tokens are this model's own all the same.
            seed: makes the draws repeatable; None draws one from Keras's global generator.
            options: fields of `GenerationConfig`, in place of those of `generation_config` and of the model's config;
                None switches one off, as `eos_token_id=None`.

        Returns:
            int32 `(B * num_return_sequences, length)`: prompts and continuations, as long as the longest row; with
            `return_dict_in_generate`, a `GenerateOutput`.

        Raises:
            ValueError: for ids outside the vocabulary, an empty prompt, a mask of another shape, a length the model
                has no positions for, options out of range or that exclude each other, and an assistant that does not
                fit.
        """
        config, ids, mask = self._prepare(input_ids, attention_mask, generation_config, options)
        if config.num_beams > 1:
            output = self._search(ids, mask, config, assistant_model, seed)
        else:
            *_, state = self._advance(ids, mask, config, assistant_model, seed, chunk=None)
            output = GenerateOutput(state.tokens[:, : int(state.index)])
        return output if config.return_dict_in_generate else output.sequences

    def stream(
        self,
        input_ids=None,
        attention_mask=None,
        *,
        chunk: int = 1,
        generation_config: GenerationConfig | None = None,
        assistant_model: GenerationMixin | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> Iterator[np.ndarray]:
        """The new tokens of `generate` as they come, `(B * num_return_sequences, n)` with n at most `chunk`.

        Together they are the same tokens that `generate` returns. Takes `generate`'s arguments.

        Raises:
            ValueError: for `num_beams` above 1, and as `generate` does.
        """
        if chunk < 1:
            raise ValueError(f"`chunk` must be at least 1; got {chunk}.")
        config, ids, mask = self._prepare(input_ids, attention_mask, generation_config, options)
        if config.num_beams > 1:
            raise ValueError(
                "beams cannot be streamed: which one is the best is known at the end. Call `generate`, or stream with "
                "`num_beams=1`."
            )
        shown = self.prompt_length(ids)
        for state in self._advance(ids, mask, config, assistant_model, seed, chunk=chunk):
            filled = int(state.index)
            yield ops.convert_to_numpy(state.tokens)[:, shown:filled]
            shown = filled

    def prompt_length(self, ids) -> int:
        """Returns how many tokens the decoder begins with, after prompts `(B, P)`: P in a model without encoder."""
        return ids.shape[1]

    def begin(self, ids, attention_mask, length: int) -> tuple:
        """Returns what the decoder begins with: ids, their mask, and an empty cache of `length` slots."""
        return ids, attention_mask, self.init_cache(ops.shape(ids)[0], length)

    def _search(self, ids, mask, config: GenerationConfig, assistant, seed: int | None) -> GenerateOutput:
        """The best beams of each prompt, as long as the longest of them."""
        _, (search,), values = self._ready(ids, config, assistant, seed)
        tokens, scores, lengths = (
            ops.reshape(x[:, : config.num_return_sequences], (-1, *x.shape[2:])) for x in search(ids, mask, *values)
        )
        return GenerateOutput(tokens[:, : self.prompt_length(ids) + int(ops.max(lengths))], scores)

    def _advance(
        self, ids, mask, config: GenerationConfig, assistant, seed: int | None, *, chunk: int | None
    ) -> Iterator[DecodeState]:
        """The states after every `chunk` tokens, or only the last one."""
        length, (start, step), values = self._ready(ids, config, assistant, seed)
        state = start(ids, mask, *values)
        filled = self.prompt_length(ids) + 1
        while filled < length:
            if chunk is not None:
                yield state
                if bool(ops.all(state.finished)):
                    return
            filled = length if chunk is None else min(filled + chunk, length)
            state = step(state, ops.convert_to_tensor(filled, "int32"), *values)
        yield state

    def _ready(self, ids, config: GenerationConfig, assistant, seed: int | None) -> tuple:
        """Columns of the result, the compiled functions, made once, and the controls and the seed as tensors."""
        prompt = self.prompt_length(ids)
        if assistant is not None:
            _require_fit(self, assistant, config)
            if assistant.prompt_length(ids) != prompt:
                raise ValueError(
                    "`assistant_model` must be an encoder-decoder where this model is one, and only there."
                )
        length = config.length(prompt, _positions(self, assistant))
        choices = config.decoding(length, assisted=assistant is not None), assistant
        loops = self.__dict__.setdefault("_loops", {})
        if choices not in loops:
            loops[choices] = compiled_method(self, *choices)
        controls = {name: ops.convert_to_tensor(x, "float32") for name, x in config.controls(prompt).items()}
        return length, loops[choices], (controls, ops.convert_to_tensor(_seed(seed), "uint32"))

    def _prepare(self, input_ids, attention_mask, config: GenerationConfig | None, options: dict) -> tuple:
        """The options, completed and checked, the prompts and their mask."""
        config = (config or GenerationConfig()).resolved(self.config, **options)
        if input_ids is None:
            if config.bos_token_id is None:
                raise ValueError("without `input_ids` a text begins with `bos_token_id`: give one of them.")
            input_ids = [[config.bos_token_id]]
        ids = ops.convert_to_tensor(input_ids)
        require_rank(ids, 2, "input_ids", "(batch, length)")
        require_integer(ids, "input_ids")
        if 0 in ids.shape:
            raise ValueError(f"`input_ids` must hold at least one token a row; got shape {tuple(ids.shape)}.")
        require_below(ids, self.prompt_vocab_size, "input_ids", "vocab_size")
        if attention_mask is None:
            pad = config.pad_token_id
            padded = pad is not None and pad not in config.ends
            mask = ids != pad if padded else ops.ones(ids.shape, "bool")
        else:
            mask = ops.convert_to_tensor(attention_mask)
        if tuple(mask.shape) != tuple(ids.shape):
            raise ValueError(
                f"`attention_mask` must have the shape of `input_ids` {tuple(ids.shape)}; got {tuple(mask.shape)}."
            )
        if not ops.convert_to_numpy(mask).any(axis=1).all():
            raise ValueError("`attention_mask` hides every token of a row: give each row at least one.")
        return config, ops.cast(ids, "int32"), ops.cast(mask, "int32")


def _require_fit(model, assistant, config: GenerationConfig) -> None:
    """Raises ValueError for an assistant that cannot draft for the model with these options."""
    if config.num_beams > 1 or config.contrastive:
        raise ValueError("`assistant_model` drafts single sequences: leave out `num_beams` and `penalty_alpha`.")
    sizes = assistant.config.vocab_size, model.config.vocab_size
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"`assistant_model` has a vocabulary of {sizes[0]} tokens and this model one of {sizes[1]}: it must be the "
            "same one."
        )


def _positions(*models) -> int | None:
    """Returns how many positions every one of the models has; None if there is no limit."""
    limits = (model.max_positions for model in models if model is not None)
    return min((limit for limit in limits if limit is not None), default=None)


def _seed(seed: int | None) -> int:
    if seed is None:
        return int(keras.random.randint((), 0, 2**31 - 1))
    if not 0 <= seed < 2**32:
        raise ValueError(f"`seed` must lie in [0, 2**32); got {seed}.")
    return seed
