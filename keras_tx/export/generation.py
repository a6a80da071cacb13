"""Signatures that generate text: the decode loop in a graph, from strings to strings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from keras_tx.export.samples import sample_texts
from keras_tx.export.signature import Signature, after, checked_texts, strings
from keras_tx.generation import GenerationConfig, decode, prefill, window_size
from keras_tx.generation.beam import beam_search
from keras_tx.generation.loop import is_end
from keras_tx.generation.state import Decoding
from keras_tx.tasks.inputs import require_known_ids
from keras_tx.text import Tokenizer

UNBOUNDED = 2**30
"""The positions of a model without a limit."""
LONGEST_PROMPT = 2**13
"""The most tokens of a prompt that has to be read as a whole."""
SMALLEST = 16
"""The fewest columns of a shape that XLA compiles; they are powers of two, so that few shapes are compiled."""


@dataclass(frozen=True)
class TextOptions:
    """How the signatures that generate text are exported.

    Attributes:
        max_new_tokens, temperature, top_k, top_p, seed: the values for requests that leave them out. A `seed` below 0
            means that each request draws anew.
        eos_token_id: one or several tokens that end a text. Unless they are special they are part of it. None for those
            of the model's config; empty for none.
        num_beams: of `generate_beams`, which exists for more than 1.
        limit: the largest `max_new_tokens` that a request may have.
    """

    max_new_tokens: int = 200
    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    seed: int = -1
    eos_token_id: Any = None
    num_beams: int = 1
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


def text_signatures(model, tokenizer: Tokenizer, options: TextOptions, *, xla: bool) -> dict[str, Signature]:
    """The signatures on strings of a model that generates.

    `serve_text` takes prompts alone. `generate` also takes options, the same for all prompts; `generate_batch` takes
    options for each prompt, so that a server may put requests together. `generate_beams` is beam search.

    Raises:
        ValueError: for a tokenizer whose ids the model does not know.
    """
    import tensorflow as tf

    require_known_ids(model, tokenizer)
    generator = TextGenerator(model, tokenizer, options)
    kinds = dict.fromkeys(("max_new_tokens", "temperature", "top_k", "top_p", "seed"), tf.int32)
    kinds |= {"temperature": tf.float32, "top_p": tf.float32}
    values = {name: tf.constant(getattr(options, name), kind, name=name) for name, kind in kinds.items()}

    def specs(shape):
        return {"prompt": strings(), **{name: tf.TensorSpec(shape, kind) for name, kind in kinds.items()}}

    def prompts(rng, rows, length):
        return {"prompt": sample_texts(tokenizer, rng, rows, length)}

    def for_beams(rng, rows, length):  # beam search does not go on beyond the model's positions
        around, count = tokenizer.template.special_tokens(1), min(3, max(1, generator.positions - 2))
        options = {"max_new_tokens": np.int32(count), "length_penalty": np.float32(0.8)}
        return prompts(rng, rows, max(1, min(length, generator.positions - count - around))) | options

    def with_options(rng, rows, length, *, by_row=False, greedy=False):
        chosen = {
            "max_new_tokens": length,
            "temperature": 0.0 if greedy else rng.integers(0, 2),
            "top_k": 3,
            "top_p": 0.9,
            "seed": 1,
        }
        shape = rows if by_row else ()
        drawn = {name: np.full(shape, value, kinds[name].as_numpy_dtype) for name, value in chosen.items()}
        return prompts(rng, rows, length) | drawn

    found = {
        "serve_text": Signature(
            lambda prompt: generator.generate(prompt, **values),
            {"prompt": strings()},
            prompts,
            slow=True,
            drawn=options.seed < 0 < options.temperature,
        ),
        "generate": Signature(generator.generate, specs(()), with_options, values),
        "generate_batch": Signature(generator.generate, specs((None,)), partial(with_options, by_row=True)),
    }
    if xla:
        compiled, greedily = replace(generator, xla=True), partial(with_options, greedy=True)  # XLA draws otherwise
        found["generate_xla"] = Signature(compiled.generate, specs(()), greedily, values, xla=True)
    if options.num_beams > 1:
        penalty = tf.constant(1.0, name="length_penalty")
        found["generate_beams"] = Signature(
            generator.search,
            {
                "prompt": strings(),
                "max_new_tokens": tf.TensorSpec((), tf.int32),
                "length_penalty": tf.TensorSpec((), tf.float32),
            },
            for_beams,
            {"max_new_tokens": values["max_new_tokens"], "length_penalty": penalty},
        )
    return found


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
        """How many tokens the decoder can see."""
        return self.model.max_positions or UNBOUNDED

    def decoding(self, **fields) -> Decoding:
        """The static options of the loop; their length is still to be filled in."""
        config = GenerationConfig(eos_token_id=self.options.eos_token_id, **fields)
        return config.resolved(self.model.config, top_k=None).decoding(0)

    # === Greedy and sampled ===

    def generate(self, prompt, max_new_tokens, temperature, top_k, top_p, seed) -> dict[str, Any]:
        """Texts `(B,)` for prompts `(B,)`; the options are scalars, or `(B,)`.

        A text depends on its prompt and its options alone, not on the rest of the batch; with a seed below 0, on
        chance.
        """
        import tensorflow as tf

        ids, mask = self._read(prompt)
        rows = tf.shape(ids)[:1]
        limit = tf.broadcast_to(self._checked_count(max_new_tokens), rows)
        for name, value, allowed, bounds in (
            ("temperature", temperature, (temperature >= 0) & (temperature < np.inf), "be finite and at least 0"),
            ("top_k", top_k, top_k >= 0, "be at least 0"),
            ("top_p", top_p, (top_p > 0) & (top_p <= 1), "lie in (0, 1]"),
        ):
            tf.debugging.Assert(tf.reduce_all(allowed), [f"`{name}` must {bounds}; got", value])
        controls = {"temperature": temperature, "top_k": tf.cast(top_k, tf.float32), "top_p": top_p}
        controls = {name: tf.broadcast_to(value, rows)[:, None] for name, value in controls.items()}
        fresh = tf.random.uniform(rows, maxval=tf.int32.max, dtype=tf.int32)  # of an operation's own state
        seeds = tf.cast(tf.where(tf.broadcast_to(seed, rows) < 0, fresh, seed), tf.uint32)
        new = self._continued(ids, mask, limit, controls, seeds)
        return {"text": self._text(prompt, ids, new, limit)}

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
        if not self.model.reads_prompt:
            count = self._within_positions(1 + count) - 1
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
            tokens, ended = step(window_ids, window_mask, steps, steps, controls, keys)
            return tf.concat([new, tokens], 1), shortened(kept + steps), finished | ended

        new = tf.zeros((tf.shape(ids)[0], 0), tf.int32)
        free = tf.TensorShape((None, None)), tf.TensorShape((None,)), tf.TensorShape((None,))
        state = (new, shortened(prompts), tf.zeros_like(limit, tf.bool))
        return tf.while_loop(unfinished, advance, state, shape_invariants=free)[0]

    def _window(self, decoding: Decoding, ids, mask, steps, room, controls, keys):
        """The next tokens, `(B, room)`, of which the first `steps` count, and which rows have reached an end token.

        Args:
            decoding: the static options of the loop.
            ids, mask: the texts to continue, or the sources of an encoder-decoder, `(B, W)`.
            steps: how many tokens to generate, int32 scalar.
            room: how many columns there are for them, int32 scalar.
            controls, keys: as the loop takes them, for each row.
        """
        model, start = self.model, self._width(ids)
        decoding = replace(decoding, length=start + room)
        prompt, prompt_mask, cache = model.begin(ids, mask, decoding.slots)
        state = prefill(model.decode_step, decoding, prompt, prompt_mask, cache, controls, keys)
        state = decode(model.decode_step, decoding, state, start + steps, controls, keys)
        return state.tokens[:, start:], state.finished

    def _compiled_window(self, decoding: Decoding) -> Callable:
        """`_window` compiled by XLA, for shapes that are powers of two."""
        import tensorflow as tf

        ids, scalar = tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((), tf.int32)
        window = tf.function(
            lambda *arguments: self._window(decoding, *arguments),
            jit_compile=True,
            autograph=False,
            input_signature=[ids, ids, scalar, scalar, _control_specs(), tf.TensorSpec((None, 2), tf.uint32)],
        )
        window.get_concrete_function()

        def step(ids, mask, steps, room, controls, keys):
            short = _power(tf.shape(ids)[1]) - tf.shape(ids)[1]
            ids, mask = (tf.pad(x, [[0, 0], [short, 0]]) for x in (ids, mask))
            if self.model.reads_prompt:  # its columns count in the draws
                keys -= tf.stack([0, tf.cast(short, tf.uint32)])
            tokens, finished = window(ids, mask, steps, _power(room), controls, keys)
            return tokens[:, :room], finished

        return step

    def _width(self, ids):
        """How many columns the decoder begins with."""
        import tensorflow as tf

        return tf.shape(ids)[1] if self.model.reads_prompt else 1

    # === Beam search ===

    def search(self, prompt, max_new_tokens, length_penalty) -> dict[str, Any]:
        """The texts of the best beams `(B,)` and their scores: log-probabilities after the length penalty."""
        import tensorflow as tf

        ids, mask = self._read(prompt)
        start, limit = self._width(ids), self._checked_count(max_new_tokens)
        tf.debugging.assert_positive(limit, "`max_new_tokens` must be at least 1")
        finite = tf.math.is_finite(length_penalty)
        tf.debugging.Assert(finite, ["`length_penalty` must be a finite number; got", length_penalty])
        length = self._within_positions(start + limit)
        decoding = replace(self.decoding(num_beams=self.options.num_beams), length=length)
        begun, begun_mask, cache = self.model.begin(ids, mask, decoding.slots)
        controls, seed = {"length_penalty": length_penalty}, tf.constant(0, tf.uint32)
        found = beam_search(self.model.decode_step, decoding, begun, begun_mask, cache, controls, seed).best
        new = found.tokens[:, 0, start:]
        return {"text": self._text(prompt, ids, new, found.lengths[:, 0]), "score": found.scores[:, 0]}

    def _within_positions(self, length):
        """The length; InvalidArgumentError, when the graph runs, if the model has fewer positions."""
        import tensorflow as tf

        message = f"the model has {self.positions} positions"
        return after([tf.debugging.assert_less_equal(length, self.positions, message)], length)

    # === Strings ===

    def _read(self, prompt):
        """The ids of prompts, padded on the left, and their mask."""
        import tensorflow as tf

        batch = self.tokenizer(checked_texts(prompt, "prompt"), padding_side="left")
        ids, mask = batch["input_ids"], batch["attention_mask"]
        checks = [tf.debugging.assert_positive(tf.reduce_sum(mask, axis=1), "`prompt` must have a token")]
        if not self.model.reads_prompt or self.positions > LONGEST_PROMPT:
            longest, what = min(self.positions, LONGEST_PROMPT), "`prompt` must be of"
            checks.append(tf.debugging.assert_less_equal(tf.shape(ids)[1], longest, f"{what} {longest} tokens at most"))
        return after(checks, ids), mask

    def _checked_count(self, count):
        import tensorflow as tf

        limit = self.options.limit
        checks = [
            tf.debugging.assert_non_negative(count, "`max_new_tokens` must not be negative"),
            tf.debugging.assert_less_equal(count, limit, f"`max_new_tokens` must be {limit} at most"),
        ]
        return after(checks, count)

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
