"""Generation in a graph, from strings to strings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from keras_tx.export.faults import Faults
from keras_tx.export.signature import after
from keras_tx.export.string_model import with_a_column
from keras_tx.generation import GenerationConfig, decode, prefill, window_size
from keras_tx.generation.buckets import Extent
from keras_tx.generation.loop import is_end
from keras_tx.generation.methods import compiled_method
from keras_tx.generation.state import Decoding
from keras_tx.text import Tokenizer

UNBOUNDED = 2**30
"""The positions of a model without a limit."""
LONGEST_PROMPT = 2**13
"""The most tokens of a prompt that has to be read as a whole."""
SMALLEST = 16
"""The fewest columns of a shape that XLA compiles; they are powers of two, so that few shapes are compiled."""


@dataclass(frozen=True)
class TextOptions:
    """The options of the signatures that generate text.

    Attributes:
        max_new_tokens, temperature, top_k, top_p, seed: the values for requests that leave them out. A `seed` below 0
            means that each request draws anew.
        eos_token_id: one or several tokens that end a text. Unless they are special they are part of it. None for those
            of the model's config; empty for none.
        num_beams: of `generate_beams`, which exists for more than 1.
        repetition_penalty, no_repeat_ngram_size, min_p: of all requests, as `GenerationConfig` explains them.
        penalty_alpha: of `generate_contrastive` unless a request has its own; it exists for more than 0. The candidates
            are the likeliest `top_k`.
        limit: the largest `max_new_tokens` that a request may have.
    """

    max_new_tokens: int = 200
    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    seed: int = -1
    eos_token_id: Any = None
    num_beams: int = 1
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    min_p: float = 0.0
    penalty_alpha: float = 0.0
    limit: int = 4096

    def __post_init__(self):
        if not 1 <= self.max_new_tokens <= self.limit:
            raise ValueError(f"`max_new_tokens` must lie in [1, {self.limit}]; got {self.max_new_tokens}.")
        if self.temperature < 0 or self.top_k < 0 or not 0 < self.top_p <= 1:
            raise ValueError(
                "`temperature` and `top_k` must be at least 0 and `top_p` in (0, 1]; "
                f"got {self.temperature}, {self.top_k} and {self.top_p}."
            )
        if not -(2**31) <= self.seed < 2**31:
            raise ValueError(f"`seed` must be an int32, below 0 for draws that differ each time; got {self.seed}.")
        if self.num_beams < 1:
            raise ValueError(f"`num_beams` must be at least 1; got {self.num_beams}.")
        GenerationConfig(
            repetition_penalty=self.repetition_penalty,
            no_repeat_ngram_size=self.no_repeat_ngram_size,
            min_p=self.min_p,
            penalty_alpha=self.penalty_alpha,
        )
        if self.penalty_alpha > 0 and self.top_k < 2:
            raise ValueError(
                f"`top_k` must be at least 2 with `penalty_alpha`, which chooses among so many; got {self.top_k}."
            )


@dataclass(frozen=True)
class TextGenerator:
    """Generates texts that continue prompts or, with an encoder-decoder, texts for sources.

    Attributes:
        model: a model that generates.
        tokenizer: of prompts and texts.
        options: how it is exported.
        xla: whether the loop is compiled by XLA.
    """

    model: Any
    tokenizer: Tokenizer
    options: TextOptions
    xla: bool = False

    @property
    def positions(self) -> int:
        """The number of tokens that the decoder can see."""
        return self.model.max_positions or UNBOUNDED

    @property
    def most(self) -> int:
        """The most new tokens that a request may ask for. A decoder alone goes on beyond its positions."""
        return self.options.limit if self.model.reads_prompt else min(self.options.limit, self.positions - 1)

    def decoding(self, **fields) -> Decoding:
        """The static options of the loop; their length is still to be filled in."""
        fields = {"top_k": None, "no_repeat_ngram_size": self.options.no_repeat_ngram_size, **fields}
        config = GenerationConfig(eos_token_id=self.options.eos_token_id)
        return replace(config.resolved(self.model.config, **fields).decoding(0), padding_repeats=False)

    def penalties(self) -> dict[str, Any]:
        """The controls that are the same for all requests."""
        import tensorflow as tf

        values = {name: getattr(self.options, name) for name in ("repetition_penalty", "min_p")}
        changed = {name: x for name, x in values.items() if x != getattr(TextOptions, name)}
        return {name: tf.constant(x, tf.float32) for name, x in changed.items()}

    # === Greedy and sampled ===

    def generate(self, prompt, max_new_tokens, temperature, top_k, top_p, seed) -> dict[str, Any]:
        """Texts `(B,)` for prompts `(B,)`; the options are scalars, or `(B,)`.

        A text depends on its prompt and its options alone, not on the rest of the batch; with a seed below 0, on
        chance.
        """
        import tensorflow as tf

        faults = Faults(prompt, "prompt")
        ids, mask = self._read(faults, prompt)
        rows = tf.shape(ids)[:1]
        limit = tf.broadcast_to(self._count(faults, max_new_tokens), rows)
        temperature, top_k, top_p = (
            _checked(faults, name, value, allowed, bounds)
            for name, value, allowed, bounds in (
                ("temperature", temperature, (temperature >= 0) & (temperature < np.inf), "be finite and at least 0"),
                ("top_k", top_k, top_k >= 0, "be at least 0"),
                ("top_p", top_p, (top_p > 0) & (top_p <= 1), "lie in (0, 1]"),
            )
        )
        controls = {"temperature": temperature, "top_k": tf.cast(top_k, tf.float32), "top_p": top_p}
        controls = {name: tf.broadcast_to(value, rows)[:, None] for name, value in controls.items()}
        fresh = tf.random.uniform(rows, maxval=tf.int32.max, dtype=tf.int32)  # of an operation's own state
        seeds = tf.cast(tf.where(tf.broadcast_to(seed, rows) < 0, fresh, seed), tf.uint32)
        limit = faults.without(limit, 0)
        new = self._continued(ids, mask, limit, controls, seeds)
        return faults.marked({"text": self._text(prompt, ids, new, limit)})

    @cached_property
    def _continued(self):
        """`_continue` as a function that all signatures call, so that its graph exists only once."""
        import tensorflow as tf

        ids, rows = tf.TensorSpec((None, None), tf.int32), (None,)
        specs = [ids, ids, tf.TensorSpec(rows, tf.int32), _control_specs(), tf.TensorSpec(rows, tf.uint32)]
        return tf.function(self._continue, input_signature=specs, autograph=False)

    def _continue(self, ids, mask, limit, controls, seeds):
        """The new tokens, `(B, N)`, with N at most the largest of the limits `(B,)`.

        When a text has filled all positions of the model, its last half of them is read again from the start.
        """
        import tensorflow as tf

        count = tf.reduce_max(limit)
        decoding = self.decoding(do_sample=True)
        step = self._compiled_window(decoding) if self.xla else partial(self._window, decoding)
        window = window_size(self.positions)
        prompts = tf.reduce_sum(mask, axis=1) if self.model.reads_prompt else tf.ones_like(limit)

        def shortened(kept):
            return tf.where(kept < self.positions, kept, window)

        def unfinished(new, kept, finished):
            return (tf.shape(new)[1] < count) & ~tf.reduce_all(finished | (tf.shape(new)[1] >= limit))

        def advance(new, kept, finished):
            done = tf.shape(new)[1]
            window_ids, window_mask = ids, mask
            width = tf.reduce_max(kept)
            if self.model.reads_prompt:
                # Rows end at the same column; the mask of each shows as many tokens as it keeps.
                window_ids = tf.concat([ids, new], 1)[:, -width:]
                window_mask = tf.cast(tf.range(width) >= width - kept[:, None], tf.int32)
            steps = tf.minimum(count - done, self.positions - width)
            keys = tf.stack([seeds, tf.fill(tf.shape(seeds), tf.cast(done - width, tf.uint32))], axis=1)
            tokens, ended = step(window_ids, window_mask, steps, steps, limit - done, controls, keys)
            return tf.concat([new, tokens], 1), shortened(kept + steps), finished | ended

        new = tf.zeros((tf.shape(ids)[0], 0), tf.int32)
        free = tf.TensorShape((None, None)), tf.TensorShape((None,)), tf.TensorShape((None,))
        state = (new, shortened(prompts), tf.zeros_like(limit, tf.bool))
        return tf.while_loop(unfinished, advance, state, shape_invariants=free)[0]

    def _window(self, decoding: Decoding, ids, mask, steps, room, limit, controls, keys):
        """The next tokens, `(B, room)`, of which the first `steps` count, and which rows have ended.

        Args:
            decoding: the static options of the loop.
            ids, mask: the texts to continue, or the sources of an encoder-decoder, `(B, W)`.
            steps: how many tokens to generate, int32 scalar.
            room: how many columns there are for them, int32 scalar.
            limit: how many tokens each row wants, `(B,)`, after which it holds no other row up.
            controls, keys: as the loop takes them, for each row.
        """
        import tensorflow as tf

        model, start = self.model, self._width(ids)

        def reached(tokens, scores):
            return tf.math.count_nonzero(tokens[0] >= 0, dtype=tf.int32) - start >= limit

        decoding = replace(decoding, length=start + room, stopping_criteria=(reached,))
        controls = {**controls, **self.penalties()}
        prompt, prompt_mask, cache = model.begin(ids, mask, decoding.slots)
        state = prefill(model.decode_step, decoding, prompt, prompt_mask, cache, controls, keys)
        state = decode(model.decode_step, decoding, state, start + steps, controls, keys)
        return state.tokens[:, start:], state.finished

    def _compiled_window(self, decoding: Decoding) -> Callable:
        """`_window` compiled by XLA, for shapes that are powers of two."""
        import tensorflow as tf

        ids, row, scalar = (tf.TensorSpec(shape, tf.int32) for shape in ((None, None), (None,), ()))
        window = tf.function(
            lambda *arguments: self._window(decoding, *arguments),
            jit_compile=True,
            autograph=False,
            input_signature=[ids, ids, scalar, scalar, row, _control_specs(), tf.TensorSpec((None, 2), tf.uint32)],
        )
        window.get_concrete_function()

        def step(ids, mask, steps, room, limit, controls, keys):
            short = _power(tf.shape(ids)[1]) - tf.shape(ids)[1]
            ids, mask = (tf.pad(x, [[0, 0], [short, 0]]) for x in (ids, mask))
            if self.model.reads_prompt:  # its columns count in the draws
                keys -= tf.stack([0, tf.cast(short, tf.uint32)])
            tokens, finished = window(ids, mask, steps, _power(room), limit, controls, keys)
            return tokens[:, :room], finished

        return step

    def _width(self, ids):
        """The number of columns that the decoder begins with."""
        import tensorflow as tf

        return tf.shape(ids)[1] if self.model.reads_prompt else 1

    # === Searches ===

    def search(self, prompt, max_new_tokens, length_penalty) -> dict[str, Any]:
        """The texts of the best beams `(B,)` and their scores: log-probabilities after the length penalty."""
        controls = {"length_penalty": length_penalty}
        faults, ids, found = self._searched(prompt, max_new_tokens, controls, num_beams=self.options.num_beams)
        best = found.best
        text = self._text(prompt, ids, best.tokens[:, 0, self._width(ids) :], best.lengths[:, 0])
        return faults.marked({"text": text, "score": best.scores[:, 0]})

    def contrast(self, prompt, max_new_tokens, penalty_alpha) -> dict[str, Any]:
        """The texts `(B,)` of contrastive search."""
        import tensorflow as tf

        fields = {"penalty_alpha": self.options.penalty_alpha, "top_k": self.options.top_k}
        controls = {"penalty_alpha": penalty_alpha}
        faults, ids, state = self._searched(prompt, max_new_tokens, controls, **fields)
        new = state.tokens[:, self._width(ids) : state.index]
        return faults.marked({"text": self._text(prompt, ids, new, tf.fill(tf.shape(ids)[:1], tf.shape(new)[1]))})

    def _searched(self, prompt, max_new_tokens, controls: dict[str, Any], **fields) -> tuple[Faults, Any, Any]:
        """Returns the faults of prompts, the ids that are read of them, and what the method of `fields` found.

        A search reads once: the end of a prompt for which the model has positions beside the new tokens. Of more new
        tokens than positions there are as many as half of these.
        """
        import tensorflow as tf

        faults = Faults(prompt, "prompt")
        for name, value in controls.items():
            _checked(faults, name, value, tf.math.is_finite(value), "be a finite number")
        limit = self._count(faults, max_new_tokens)
        tf.debugging.assert_positive(limit, "`max_new_tokens` must be at least 1")
        limit = tf.where(limit < self.positions, limit, self.positions - window_size(self.positions))
        ids, mask = self._read(faults, prompt)
        if self.model.reads_prompt:
            ids, mask = (x[:, -(self.positions - limit) :] for x in (ids, mask))
        start = self._width(ids)
        decoding = replace(self.decoding(**fields), length=start + limit)
        method = compiled_method(self.model, decoding)[0].function
        extent = Extent(start, decoding.length)
        controls = {**controls, **self.penalties()}
        controls.pop("min_p", None)  # it is for draws
        return faults, ids, method(ids, mask, None, extent, controls, tf.constant(0, tf.uint32))

    # === Strings ===

    def _read(self, faults: Faults, prompt):
        """The ids of prompts, padded on the left, and their mask; of those with a fault, padding to be read."""
        import tensorflow as tf

        batch = self.tokenizer(faults.texts(prompt, "prompt", self.tokenizer), padding_side="left")
        ids, mask = (with_a_column(batch[name]) for name in ("input_ids", "attention_mask"))
        lengths = tf.reduce_sum(mask, axis=1)
        faults.note(lengths == 0, "`prompt` must have a token")
        if not self.model.reads_prompt or self.positions > LONGEST_PROMPT:
            longest = min(self.positions, LONGEST_PROMPT)
            faults.note(lengths > longest, f"`prompt` must be of {longest} tokens at most")
            ids, mask = ids[:, -longest:], mask[:, -longest:]
        last = tf.range(tf.shape(mask)[1]) == tf.shape(mask)[1] - 1
        return ids, tf.where(faults.none[:, None], mask, tf.cast(last, tf.int32))

    def _count(self, faults: Faults, count):
        """The number of new tokens that is asked for, a scalar or `(B,)`."""
        count = _checked(faults, "max_new_tokens", count, count >= 0, "not be negative", 0)
        return _checked(faults, "max_new_tokens", count, count <= self.most, f"be {self.most} at most", 0)

    def _text(self, prompt, ids, new, limit):
        """The texts of new tokens `(B, N)`, up to the first end token or the limit `(B,)`, after their prompts.

        As in Transformers' pipelines, special tokens are left out, and an end token that is not special is kept.
        """
        import tensorflow as tf

        ends_before = tf.cumsum(tf.cast(is_end(new, self.decoding()), tf.int32), axis=1, exclusive=True)
        kept = (ends_before == 0) & (tf.range(tf.shape(new)[1]) < limit[:, None])
        kept &= self._is_text(new)
        if not self.model.reads_prompt:
            return _valid(self.tokenizer.detokenize(tf.ragged.boolean_mask(new, kept)))
        # New tokens are decoded after the prompt's last one, which tells whether there is a blank between them.
        ids = tf.concat([ids[:, -1:], new], 1)
        texts = self.tokenizer.detokenize(
            tf.ragged.boolean_mask(ids, tf.pad(kept, [[0, 0], [1, 0]], constant_values=True))
        )
        begin = tf.strings.length(self.tokenizer.detokenize(ids[:, :1]))
        new_text = tf.strings.substr(texts, begin, tf.strings.length(texts) - begin)
        return _valid(tf.strings.join([prompt, new_text]))

    def _is_text(self, ids):
        """Which ids are the tokenizer's, and not special."""
        import tensorflow as tf

        special = self.tokenizer.all_special_ids
        is_special = tf.reduce_any(ids[..., None] == tf.constant(special, tf.int32), axis=-1)
        return (ids < self.tokenizer.vocab_size) & ~is_special


def _checked(faults: Faults, name: str, value, allowed, bounds: str, instead: float = 1):
    """An option. One of each row, `(B,)`, is a row's fault where it is not allowed, and something else instead.

    Raises:
        InvalidArgumentError: when the graph runs, for one of all rows, a scalar.
    """
    import tensorflow as tf

    if value.shape.rank == 0:
        check = tf.debugging.Assert(allowed, [f"`{name}` must {bounds}; got", value])
        return after([check], value)
    faults.note(~allowed, f"`{name}` must {bounds}")
    return tf.where(allowed, value, tf.cast(instead, value.dtype))


def _control_specs():
    import tensorflow as tf

    return dict.fromkeys(("temperature", "top_k", "top_p"), tf.TensorSpec((None, 1), tf.float32))


def _valid(texts):
    """Texts with U+FFFD for what is not UTF-8, such as half a character at the end."""
    import tensorflow as tf

    return tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace", replace_control_characters=False)


def _power(count):
    """The smallest power of two that is at least `count`."""
    import tensorflow as tf

    powers = tf.constant([2**i for i in range(SMALLEST.bit_length() - 1, 31)], tf.int32)
    return tf.gather(powers, tf.searchsorted(powers, count[None])[0])
