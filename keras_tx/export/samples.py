"""Random inputs, with which artifacts are checked and warmed up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_tx.text import Tokenizer

CHOICES = 2
"""Texts to choose from in each row of a request."""


def sample_texts(tokenizer: Tokenizer, rng: np.random.Generator, count: int, length: int) -> np.ndarray:
    """Random texts of at most `length` tokens, as bytes `(count,)`."""
    special = set(tokenizer.all_special_ids)
    ids = [i for i in range(tokenizer.vocab_size) if i not in special]
    texts: list[bytes] = []
    for _ in range(100 * count):
        if len(texts) == count:
            break
        text = tokenizer.decode(rng.choice(ids, rng.integers(1, length + 1)).tolist())
        text = _cut(tokenizer, text.replace("\0", ""), length)  # NumPy's bytes do not end in NUL
        if text.strip():
            texts.append(text.encode("utf-8", "replace"))
    if len(texts) < count:
        raise ValueError("no texts could be made of the tokens of `tokenizer`: is its vocabulary a real one?")
    return np.array(texts, "S")


def sample_inputs(tokenizer: Tokenizer, *names: str):
    """A `Signature.sample` for inputs that are texts."""

    def sample(rng: np.random.Generator, rows: int, length: int) -> dict[str, np.ndarray]:
        return {name: sample_texts(tokenizer, rng, rows, length) for name in names}

    return sample


def sample_choices(tokenizer: Tokenizer, name: str):
    """A `Signature.sample` for texts and, by a name, several further ones for each."""

    def sample(rng: np.random.Generator, rows: int, length: int) -> dict[str, np.ndarray]:
        texts = sample_texts(tokenizer, rng, (1 + CHOICES) * rows, length)
        return {"text": texts[:rows], name: texts[rows:].reshape(rows, CHOICES)}

    return sample


def _cut(tokenizer: Tokenizer, text: str, length: int) -> str:
    """The beginning of a text, of at most `length` tokens, which may differ from those it was decoded from."""
    try:
        while (count := len(tokenizer.encode(text, add_special_tokens=False))) > length:
            text = text[: len(text) * length // count]
    except ValueError:  # a text may decode to characters that its tokenizer cannot encode
        return ""
    return text if count else ""


def sample_files(rng: np.random.Generator, count: int, channels: int) -> np.ndarray:
    """JPEG and PNG files of random images of several sizes, as bytes `(count,)`."""
    import tensorflow as tf

    files = []
    for i in range(count):
        coarse = rng.integers(0, 256, (5, 7, channels)).astype("float32")
        image = tf.cast(tf.image.resize(coarse, rng.integers(30, 90, 2)), tf.uint8)
        files.append((tf.io.encode_png if i % 2 else tf.io.encode_jpeg)(image).numpy())
    return np.array(files, "S")


def sample_tensors(specs: Mapping[str, Any], model: Any, rng: np.random.Generator, rows: int, length: int) -> dict:
    """Random tensors for a model's signature; masks are those of rows of several lengths, padded on the right.

    What a tensor holds follows from its name.
    """
    length = min(length, model.max_positions or length)
    choices = any(spec.dtype.is_integer and spec.shape.rank == 3 for spec in specs.values())
    free = (rows, CHOICES if choices else length, length, length)
    given = {}
    for name, spec in specs.items():
        shape = tuple(free[i] if axis is None else axis for i, axis in enumerate(spec.shape))
        if spec.dtype.is_bool:
            given[name] = rng.random(shape) < 0.5
        elif not spec.dtype.is_integer:
            given[name] = rng.normal(size=shape).astype("float32")
        elif name.endswith("mask"):
            lengths = rng.integers(1, shape[-1] + 1, (*shape[:-1], 1))
            given[name] = (np.arange(shape[-1]) < lengths).astype("int32")
        else:
            tokens = given["input_ids"].shape[-1] if "input_ids" in given else length
            given[name] = rng.integers(0, _bound(name, model, tokens), shape).astype("int32")
    return given


def _bound(name: str, model: Any, length: int) -> int:
    """The number that the integers of an input are below."""
    if name == "token_type_ids":
        return model.config.type_vocab_size
    if name == "input_ids":
        return model.prompt_vocab_size
    return model.config.vocab_size if name.endswith("_input_ids") else length
