"""What `generate` is asked for: options, prompts and the user's own rules, completed and checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_tx.generation.config import GenerationConfig
from keras_tx.generation.state import Decoding
from keras_tx.generation.stopping import stop_strings
from keras_tx.ops.checks import known_values, require_below, require_integer, require_rank, require_shape

INPUTS = ("input_ids", "attention_mask", "decoder_input_ids", "decoder_attention_mask")
Rule = Callable[[Any, Any], Any]


class Prompts(NamedTuple):
    """The texts that are continued, or the sources of an encoder-decoder.

    Attributes:
        ids: int32 `(B, P)`, of NumPy but where a graph of the user's is being traced.
        mask: int32 `(B, P)`, 0 at padding.
        decoder: ids and mask that the decoder of an encoder-decoder begins with, `(B, T)` each; None without encoder.
    """

    ids: Any
    mask: Any
    decoder: tuple[Any, Any] | None

    @property
    def length(self) -> Any:
        """How many columns the decoder begins with; a tensor where a graph is traced for any number."""
        return ops.shape(self.ids if self.decoder is None else self.decoder[0])[1]

    @property
    def traced(self) -> bool:
        """Whether a graph of the user's is being traced, in which no value is known."""
        return known_values(self.ids) is None


@dataclasses.dataclass(frozen=True)
class Request:
    """What `generate` is asked for.

    Attributes:
        config: the options, those of the model included.
        prompts: to continue.
        rules: fields of `Decoding` that are functions.
        assistant: a model that drafts, or None.
        seed: of the draws, a number or a tensor; None for one that nobody knows.
    """

    config: GenerationConfig
    prompts: Prompts
    rules: dict[str, Any]
    assistant: Any
    seed: Any

    def decoding(self, length: Any) -> Decoding:
        """The options that a loop is compiled for."""
        assisted = self.assistant is not None
        return dataclasses.replace(self.config.decoding(length, assisted=assisted), **self.rules)


def asked(
    model: Any,
    input_ids: Any = None,
    attention_mask: Any = None,
    *,
    decoder_input_ids: Any = None,
    decoder_attention_mask: Any = None,
    generation_config: GenerationConfig | None = None,
    assistant_model: Any = None,
    seed: Any = None,
    tokenizer: Any = None,
    logits_processor: Iterable[Rule] | None = None,
    stopping_criteria: Iterable[Rule] | None = None,
    prefix_allowed_tokens_fn: Rule | None = None,
    **options: Any,
) -> Request:
    """Returns the request of `generate` with these arguments.

    Raises:
        TypeError: for an option that there is not.
        ValueError: for prompts or options that do not fit, or do not fit the model.
    """
    config = (generation_config or GenerationConfig()).resolved(model.config, model.generation_config, **options)
    criteria = tuple(stopping_criteria or ())
    if config.stop_strings is not None:
        if tokenizer is None:
            raise ValueError("`stop_strings` are texts: give `tokenizer`, too.")
        texts = config.stop_strings
        criteria += (stop_strings((texts,) if isinstance(texts, str) else tuple(texts), tokenizer),)
    if assistant_model is not None:
        _require_fit(model, assistant_model, config)
        if criteria or config.output_scores:
            raise ValueError(
                "`assistant_model` drafts several tokens at a time: leave out `stop_strings`, `stopping_criteria` and "
                "`output_scores`."
            )
    given = (input_ids, attention_mask, decoder_input_ids, decoder_attention_mask)
    return Request(
        config=config,
        prompts=_prompts(model, dict(zip(INPUTS, given, strict=True)), config),
        rules={
            "logits_processor": tuple(logits_processor or ()),
            "stopping_criteria": criteria,
            "prefix_allowed_tokens_fn": prefix_allowed_tokens_fn,
        },
        assistant=assistant_model,
        seed=seed,
    )


def _prompts(model, given: dict[str, Any], config: GenerationConfig) -> Prompts:
    """The prompts, checked as far as values are known."""
    if isinstance(given["input_ids"], Mapping):
        given = _named(given)
    if given["input_ids"] is None:
        if config.bos_token_id is None:
            raise ValueError("without `input_ids` a text begins with `bos_token_id`: give one of them.")
        given["input_ids"] = [[config.bos_token_id]]
    ids = _ids(given["input_ids"], "input_ids", model.prompt_vocab_size)
    if given["attention_mask"] is None:
        pad = config.pad_token_id
        padded = pad is not None and pad not in config.ends
        mask = ids != pad if padded else _module(ids).ones_like(ids)
    else:
        mask = _mask(given["attention_mask"], ids, "attention_mask")
    model.check_prompts(mask)
    ids = _int32(ids)
    return Prompts(ids, _int32(mask), _decoder(model, ids, given, config))


def _decoder(model, ids, given: dict[str, Any], config: GenerationConfig) -> tuple[Any, Any] | None:
    """What the decoder of an encoder-decoder begins with: the start token, and the target so far if it is given."""
    begun, mask = given["decoder_input_ids"], given["decoder_attention_mask"]
    if model.reads_prompt:
        if begun is not None or mask is not None:
            raise ValueError(f"a {type(model).__name__} has no encoder: give `input_ids`, not `decoder_input_ids`.")
        return None
    of, start = _module(ids), _array(config.decoder_start_token_id)
    if len(start.shape):
        require_shape(start, (ids.shape[0],), "decoder_start_token_id")
    starts = of.broadcast_to(of.reshape(_int32(start), (-1, 1)), (ops.shape(ids)[0], 1))
    if begun is None:
        return starts, of.ones_like(starts)
    begun = _int32(_ids(begun, "decoder_input_ids", model.config.vocab_size))
    require_shape(begun, (ids.shape[0], begun.shape[1]), "decoder_input_ids")
    mask = _module(begun).ones_like(begun) if mask is None else _int32(_mask(mask, begun, "decoder_attention_mask"))
    first = known_values(begun[:, :1] != starts)
    if first is None or not first.all():  # as in Transformers, which looks at the whole batch
        return begun, mask
    return of.concatenate([starts, begun], axis=1), of.concatenate([of.ones_like(starts), mask], axis=1)


def _named(given: dict[str, Any]) -> dict[str, Any]:
    """The inputs of a dict given as `input_ids`, which a tokenizer makes, and those given beside it."""
    named = dict(given["input_ids"])
    for name in named:
        if name not in INPUTS:
            raise ValueError(f"`generate` takes no {name!r}; it takes {', '.join(map(repr, INPUTS))}.")
        if name != "input_ids" and given[name] is not None:
            raise ValueError(f"{name!r} was given twice, in the dict and as an argument.")
    return {**given, "input_ids": None, **named}


def _ids(ids, name: str, vocab_size: int):
    """The ids as an array `(B, T)`, checked."""
    ids = _array(ids)
    require_rank(ids, 2, name, "(batch, length)")
    require_integer(ids, name)
    if 0 in ids.shape:
        raise ValueError(f"`{name}` must hold at least one token a row; got shape {tuple(ids.shape)}.")
    require_below(ids, vocab_size, name, "vocab_size")
    return ids


def _mask(mask, ids, name: str):
    """The mask of ids as an array, checked."""
    mask = _array(mask)
    if len(mask.shape) != 2 or any(a != b and None not in (a, b) for a, b in zip(mask.shape, ids.shape, strict=True)):
        raise ValueError(f"`{name}` must have the shape of the ids, {tuple(ids.shape)}; got {tuple(mask.shape)}.")
    return mask


def _array(x):
    """As NumPy has it, for which JAX compiles nothing; a tensor where no value is known."""
    x = ops.convert_to_tensor(x)
    known = known_values(x)
    return x if known is None else known


def _module(x) -> Any:
    """The module of the operations on such an array."""
    return np if isinstance(x, np.ndarray) else ops


def _int32(x):
    return x.astype("int32") if isinstance(x, np.ndarray) else ops.cast(x, "int32")


def _require_fit(model, assistant, config: GenerationConfig) -> None:
    """Raises ValueError for an assistant that cannot draft for the model with these options."""
    if config.beams > 1 or config.contrastive:
        raise ValueError("`assistant_model` drafts single sequences: leave out `num_beams` and `penalty_alpha`.")
    sizes = assistant.config.vocab_size, model.config.vocab_size
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"`assistant_model` has a vocabulary of {sizes[0]} tokens and this model one of {sizes[1]}: it must be the "
            "same one."
        )
    if assistant.reads_prompt != model.reads_prompt:
        raise ValueError("`assistant_model` must be an encoder-decoder where this model is one, and only there.")


def drawn_seed(seed: Any, *, needed: bool, traced: bool):
    """The seed of a text, a uint32 scalar: the given one, or if it is None a new one.

    Args:
        seed: a number or a tensor.
        needed: whether anything is drawn.
        traced: whether a graph of the user's is being traced. A new seed is then drawn whenever it runs.

    Raises:
        ValueError: for a number out of range; for None in a function that JAX traces.
    """
    if seed is None and traced and needed:
        return _seed_in_graph()
    if seed is None:
        seed = int(keras.random.randint((), 0, 2**31 - 1)) if needed and not traced else 0
    if isinstance(seed, int) and not 0 <= seed < 2**32:
        raise ValueError(f"`seed` must lie in [0, 2**32); got {seed}.")
    return ops.cast(seed, "uint32") if ops.is_tensor(seed) else ops.convert_to_tensor(seed, "uint32")


def _seed_in_graph():
    if keras.backend.backend() != "tensorflow":
        raise ValueError("`seed` must be given to draw inside a compiled function, or each call would draw the same.")
    import tensorflow as tf

    # An operation with a state of its own: a variable of Keras's would not be saved with the function.
    return tf.cast(tf.random.uniform((), maxval=2**31 - 1, dtype=tf.int32), tf.uint32)
