"""Signatures that generate text: what they take, and their defaults."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from keras_tx.export.samples import sample_texts
from keras_tx.export.signature import Signature, strings
from keras_tx.export.text_generator import TextGenerator, TextOptions
from keras_tx.tasks.inputs import require_known_ids
from keras_tx.text import Tokenizer


def text_signatures(model, tokenizer: Tokenizer, options: TextOptions, *, xla: bool) -> dict[str, Signature]:
    """The signatures on strings of a model that generates.

    `serve_text` takes prompts alone. `generate` also takes options, the same for all prompts; `generate_batch` takes
    options for each prompt, so that a server may put requests together. `generate_beams` is beam search,
    `generate_contrastive` contrastive search. What is wrong with one of the prompts is its `error` in the answer.

    Raises:
        ValueError: for a tokenizer whose ids the model does not know.
    """
    import tensorflow as tf

    require_known_ids(model, tokenizer)
    generator = TextGenerator(model, tokenizer, options)
    kinds = dict.fromkeys(("max_new_tokens", "temperature", "top_k", "top_p", "seed"), tf.int32)
    kinds |= {"temperature": tf.float32, "top_p": tf.float32}
    given = {**vars(options), "max_new_tokens": min(options.max_new_tokens, generator.most)}
    values = {name: tf.constant(given[name], kind, name=name) for name, kind in kinds.items()}

    def specs(shape):
        return {"prompt": strings(), **{name: tf.TensorSpec(shape, kind) for name, kind in kinds.items()}}

    def prompts(rng, rows, length):
        return {"prompt": sample_texts(tokenizer, rng, rows, length)}

    def at_once(search, weight: str, default: float) -> Signature:
        """Returns the signature of a method that reads a prompt once; `weight` is the name of an option of its own."""
        fields = {
            "prompt": strings(),
            "max_new_tokens": tf.TensorSpec((), tf.int32),
            weight: tf.TensorSpec((), tf.float32),
        }
        count = min(3, max(1, generator.positions - 2))

        def sample(rng, rows, length):
            room = generator.positions - count - tokenizer.template.special_tokens(1)
            asked = {"max_new_tokens": np.int32(count), weight: np.float32(0.8)}
            return prompts(rng, rows, max(1, min(length, room))) | asked

        defaults = {"max_new_tokens": values["max_new_tokens"], weight: tf.constant(default, name=weight)}
        return Signature(search, fields, sample, defaults)

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
        found["generate_beams"] = at_once(generator.search, "length_penalty", 1.0)
    if options.penalty_alpha > 0:
        found["generate_contrastive"] = at_once(generator.contrast, "penalty_alpha", options.penalty_alpha)
    return found
