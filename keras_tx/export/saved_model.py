"""SavedModels that take strings and give strings, with TensorFlow's core operations alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from keras_tx.files import whole_directory
from keras_tx.generation import Decoding, GenerationConfig, decode, prefill, window_size
from keras_tx.generation.loop import is_end
from keras_tx.ops.primitives import portable_graph

TOLERANCE = 1e-5
"""How far an artifact's numbers may be from its model's, in float32."""


def export_saved_model(
    model: keras.Model,
    path: str | Path,
    tokenizer=None,
    *,
    max_new_tokens: int = 200,
    temperature: float = 0.8,
    eos_token_id: int | Sequence[int] | None = None,
) -> None:
    """Writes a SavedModel that runs with TensorFlow alone, checks it against the model, and only then keeps it.

    Signatures:
        serving_default: the tensors of `model.input_signature()` to `logits`; batch and length are free.
        generate: `prompt`, strings `(B,)`, to `text`, strings `(B,)`: the prompts and what follows them up to an end
            token, drawn at the given `temperature`; the same prompts give the same text. Only with a tokenizer.
        generate_with_options: as `generate`, with the inputs `max_new_tokens` (int32), `temperature` (0 for
            greedy), `top_p` (float32) and `seed` (int32) besides; TensorFlow Serving fills in those not given.

    Args:
        model: a text model; for `generate`, one with a `decode_step`.
        path: of the directory, whose name TensorFlow Serving wants to be a version number.
        tokenizer: turns the strings into ids and back, inside the graph.
        max_new_tokens: of `generate`.
        temperature: of `generate`.
        eos_token_id: a token, or several, that end a text of `generate`; the model's config's if None, none at all if
            empty.

    Raises:
        ValueError: on another backend than TensorFlow, for a model that does not compute in float32, if `path` holds
            anything but a SavedModel, or if the artifact's numbers are not the model's; nothing is written then.
    """
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"a SavedModel is made on the TensorFlow backend; this is {keras.backend.backend()!r}. Save the model as "
            "`.keras` and load it with KERAS_BACKEND=tensorflow."
        )
    if model.compute_dtype != "float32":
        raise ValueError(f"export a float32 model: this one computes in {model.compute_dtype}.")
    _require_replaceable(Path(path))
    specs = {name: tf.TensorSpec(s.shape, s.dtype, name) for name, s in model.input_signature().items()}
    serve = tf.function(lambda **inputs: {"logits": model(inputs)["logits"]}, autograph=False)
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    with whole_directory(path) as partial, portable_graph():
        signatures = {"serving_default": serve.get_concrete_function(**specs)}
        if tokenizer is not None:
            generate = _string_generator(model, tokenizer, eos_token_id)
            signatures |= _generate_signatures(generate, max_new_tokens, temperature)
        tf.saved_model.save(module, str(partial), signatures=signatures)
        _verify(model, partial)


def _require_replaceable(path: Path) -> None:
    """Raises ValueError for a path whose content is not ours to remove."""
    if path.is_file() or (path.is_dir() and any(path.iterdir()) and not (path / "saved_model.pb").exists()):
        raise ValueError(f"{path} exists and is not a SavedModel: choose a new directory.")


def _generate_signatures(generate, max_new_tokens: int, temperature: float) -> dict:
    import tensorflow as tf

    prompts = tf.TensorSpec((None,), tf.string, "prompt")
    values = {"max_new_tokens": max_new_tokens, "temperature": float(temperature), "top_p": 1.0, "seed": 0}
    defaults = {name: tf.constant(value, name=name) for name, value in values.items()}
    specs = [tf.TensorSpec((), value.dtype, name) for name, value in defaults.items()]

    @tf.function(input_signature=[prompts], autograph=False)
    def plain(prompt):
        return {"text": generate(prompt, **defaults)}

    # Default arguments of a signature are written into the SavedModel, where TensorFlow Serving looks for them.
    n, t, p, s = defaults.values()

    @tf.function(input_signature=[prompts, *specs], autograph=False)
    def with_options(prompt, max_new_tokens=n, temperature=t, top_p=p, seed=s):
        return {"text": generate(prompt, max_new_tokens, temperature, top_p, seed)}

    return {"generate": plain, "generate_with_options": with_options}


def _string_generator(model, tokenizer, eos_token_id: int | Sequence[int] | None):
    """`stream_rolling`, in a graph and on strings."""
    import tensorflow as tf

    positions = model.config.max_positions
    size = window_size(positions)
    options = GenerationConfig(do_sample=True, top_k=None, eos_token_id=eos_token_id)
    decoding = options.of_model(model.config).decoding(positions)

    def generate(prompt, max_new_tokens, temperature, top_p, seed):
        tf.debugging.assert_greater_equal(max_new_tokens, 0, "`max_new_tokens` must not be negative")
        tf.debugging.assert_greater_equal(temperature, 0.0, "`temperature` must not be negative")
        tf.debugging.assert_greater(tf.strings.length(prompt), 0, "`prompt` must not be empty")
        controls = {"temperature": tf.maximum(temperature, 1e-6), "top_p": top_p}
        batch = tokenizer(prompt, padding_side="left")
        short = tf.maximum(size - tf.shape(batch["input_ids"])[1], 0)
        ids, mask = (tf.pad(batch[name], [[0, 0], [short, 0]]) for name in ("input_ids", "attention_mask"))
        tf.debugging.assert_greater(mask[:, -1], 0, "`prompt` must have a token")
        start = tf.shape(ids)[1]
        end = start + max_new_tokens
        finished = tf.zeros_like(mask[:, 0], tf.bool)

        def unfinished(turn, ids, mask, finished):
            return (tf.shape(ids)[1] < end) & ~tf.reduce_all(finished)

        def window(turn, ids, mask, finished):
            draws = tf.cast(seed + turn, tf.uint32)
            seen = tf.ensure_shape(ids[:, -size:], (None, size)), tf.ensure_shape(mask[:, -size:], (None, size))
            cache = model.init_cache(tf.shape(ids)[0], positions)
            state = prefill(model.decode_step, decoding, *seen, cache, controls, draws)
            state = state._replace(finished=state.finished | finished)
            until = tf.minimum(positions, size + end - tf.shape(ids)[1])
            state = decode(model.decode_step, decoding, state, until, controls, draws)
            new = state.tokens[:, size:until]
            return turn + 1, tf.concat([ids, new], 1), tf.concat([mask, tf.ones_like(new)], 1), state.finished

        free = tf.TensorShape((None, None))
        _, ids, _, _ = tf.while_loop(
            unfinished,
            window,
            (0, ids, mask, finished),
            shape_invariants=(tf.TensorShape(()), free, free, tf.TensorShape((None,))),
        )
        return tf.strings.join([prompt, _continuation(tokenizer, decoding, ids[:, start - 1 :])])

    return generate


def _continuation(tokenizer, decoding: Decoding, ids):
    """The texts of ids `(B, T)` up to the first end token, as they read after the first id, which is left out."""
    import tensorflow as tf

    ends = tf.cast(is_end(ids[:, 1:], decoding), tf.int32)
    kept = tf.math.count_nonzero(tf.cumsum(ends, axis=1) == 0, axis=1)
    texts = tokenizer.detokenize(tf.RaggedTensor.from_tensor(ids, kept + 1))
    begin = tf.strings.length(tokenizer.detokenize(ids[:, :1]))
    return tf.strings.substr(texts, begin, tf.strings.length(texts) - begin)


def _verify(model, path: Path) -> None:
    """Raises ValueError unless the artifact gives the model's logits for random inputs."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path)).signatures["serving_default"]
    length = min(model.config.max_positions or 7, 7)
    ids = np.random.default_rng(0).integers(0, model.config.vocab_size, (3, length), dtype="int32")
    inputs = {"input_ids": tf.constant(ids), "attention_mask": tf.ones_like(ids)}
    difference = np.abs(loaded(**inputs)["logits"] - model(inputs)["logits"]).max()
    if not difference <= TOLERANCE:
        raise ValueError(f"the SavedModel's logits differ from the model's by {difference}, more than {TOLERANCE}.")
