"""The contract of every registered model and head: bad input gets a clear error."""

from __future__ import annotations

import re

import numpy as np
import pytest
from contract import (
    BATCH,
    LENGTH,
    PROMPT,
    cases,
    classes_of,
    columns_begun,
    every_generator,
    every_head,
    every_image,
    every_pair,
    every_text,
    inputs,
    labels,
)

from keras_tx.models.core.base import Model
from keras_tx.models.core.text import TextModel

pytestmark = pytest.mark.any_backend


@pytest.fixture(scope="module")
def model(case) -> Model:
    """Not compiled on any backend: numbers, too, are looked at."""
    return case.make_random()


def bad_text(model: Model, config) -> dict[str, tuple[dict, str]]:
    """Bad calls of a text model, and what the error must say."""
    given, longest = inputs(model), model.max_positions
    ids = given["input_ids"]
    shape, axes = ids.shape, "batch, choices, length" if ids.ndim == 3 else "batch, length"
    mask = np.ones((*shape[:-1], LENGTH + 1), "int32")
    bad = {
        "wrong rank": (
            {**given, "input_ids": ids[0]},
            re.escape(f"`input_ids` must be ({axes}); got shape {shape[1:]}"),
        ),
        "float ids": ({**given, "input_ids": ids + np.float32(0.5)}, r"`input_ids` must be integers; got \d+\.5"),
        "past the vocabulary": ({**given, "input_ids": ids + config.vocab_size}, r"must lie in \[0, .*vocab_size\)"),
        "negative": ({**given, "input_ids": ids - config.vocab_size}, r"must lie in \[0, .*vocab_size\)"),
        "unknown key": ({**given, "pixels": ids}, r"takes no 'pixels'; it takes 'input_ids', .*'attention_mask'"),
        "no ids": ({"attention_mask": mask}, "the inputs must have \"input_ids\"; got 'attention_mask'"),
    }
    for other in (mask, mask[:2, ..., :LENGTH], mask[0, ..., :LENGTH]):
        message = re.escape(f"`attention_mask` must have shape {shape}; got {other.shape}")
        bad[f"mask of shape {other.shape}"] = ({**given, "attention_mask": other}, message)
    if longest:
        long = np.zeros((*(1,) * (ids.ndim - 1), longest + 1), "int32")
        bad["too long"] = ({"input_ids": long}, f"{longest + 1} long.*{longest}")
    return bad


def bad_images(given: dict, config) -> dict[str, tuple[dict, str]]:
    """Bad calls of an image model, and what the error must say."""
    images = given["images"]
    turned, channels = np.moveaxis(images, -1, 1), config.channels

    def having(x):
        return {**given, "images": x}

    return {
        "wrong rank": (having(images[0]), r"`images` must be \(batch, height, width, channels\)"),
        "channels first": (having(turned), r"must be .*, the channels; .* `ops.transpose\(images, \(0, 2, 3, 1\)\)`"),
        "other channels": (having(images[..., :1]), f"the last axis of `images` must be {channels}, the channels"),
        "integers": (having(images.astype("uint8")), "`images` must be floating point, scaled .*; got dtype uint8"),
        "unknown key": ({**given, "pixels": images}, "takes no 'pixels'; it takes 'images'"),
        "no images": ({"pixels": images}, "the inputs must have \"images\"; got 'pixels'"),
    }


@every_text
def test_bad_input(case, model):
    rejects(model, bad_text(model, case.config))
    if isinstance(model, TextModel) and not case.takes_cache:
        with pytest.raises(ValueError, match="takes no `cache`, which is for language models"):
            model(inputs(model), cache=())


@every_pair
def test_bad_pairs_of_texts(case, model):
    given = inputs(model)
    ids = given.setdefault("decoder_input_ids", given["input_ids"])
    given |= {"decoder_attention_mask": np.ones_like(ids)}
    shape = re.escape(str(ids.shape))
    bad: dict[str, tuple[dict, str]] = {
        "no source": ({"input_ids": ids[:, :0], "decoder_input_ids": ids}, "`input_ids` must hold at least one token"),
        "source mask by query": (
            {**given, "attention_mask": np.ones((BATCH, LENGTH, LENGTH))},
            "`attention_mask` must have shape",
        ),
        "other batch": ({**given, "decoder_input_ids": ids[:2]}, r"`decoder_input_ids` must have shape \(3, "),
        "wrong rank": ({**given, "decoder_input_ids": ids[0]}, r"`decoder_input_ids` must be \(batch, length\)"),
        "float ids": ({**given, "decoder_input_ids": ids + np.float32(0.5)}, "`decoder_input_ids` must be integers"),
        "past the vocabulary": ({**given, "decoder_input_ids": ids + case.config.vocab_size}, r"must lie in \[0, "),
        "mask": (
            {**given, "decoder_attention_mask": np.ones((BATCH, 3))},
            f"`decoder_attention_mask` must have shape {shape}",
        ),
    }
    if case.generates:
        bad["no target"] = ({"input_ids": ids}, "give `decoder_input_ids`, or `labels`")
    rejects(model, bad)


@every_image
def test_bad_images(case, model):
    rejects(model, bad_images(inputs(model), case.config))


def rejects(model: Model, calls: dict[str, tuple[dict, str]]) -> None:
    for name, (bad, message) in calls.items():
        with pytest.raises(ValueError, match=message):
            model(bad)
            pytest.fail(name)


@every_head
def test_bad_labels(case, model):
    given = inputs(model)
    y = labels(model, given)
    for name, x in y.items():
        with pytest.raises(ValueError, match=f"`{name}` must have shape"):
            model(given, **{**y, name: x[..., :-1]})
        with pytest.raises(ValueError, match=f"'{name}' was given twice"):
            model({**given, name: x}, **{name: x})
    for name, x in classes_of(y).items():
        with pytest.raises(ValueError, match=f"`{name}` must"):
            model(given, **{**y, name: x + np.float32(0.5)})


@cases("token_type_ids")
def test_bad_token_types(case, model):
    ids = inputs(model)["input_ids"]
    for bad, message in ((ids[..., :-1], "must have shape"), (ids + np.float32(0.5), "must be integers")):
        with pytest.raises(ValueError, match=f"`token_type_ids` {message}"):
            model(ids, token_type_ids=bad)


@every_generator
def test_bad_generation(case, model):
    ids = inputs(model, 2, PROMPT)["input_ids"]
    bad = [
        (ids[0], {}, "`input_ids` must be"),
        (ids.astype("float32"), {}, "`input_ids` must be integers"),
        (ids + case.config.vocab_size, {}, "`input_ids` must lie in"),
        (ids[:, :0], {}, "at least one token"),
        (ids, {"attention_mask": np.ones((2, PROMPT + 1))}, "`attention_mask` must have the shape"),
        (ids, {"attention_mask": np.zeros((2, PROMPT))}, "hides every token"),
        (ids, {"max_new_tokens": 0}, "nothing to generate"),
        (ids, {"max_length": columns_begun(model, ids)}, "nothing to generate"),
        (ids, {"do_sample": True, "temperature": 0.0}, "`temperature` must be above 0"),
        (ids, {"do_sample": True, "top_k": -1}, "`top_k` must be"),
        (ids, {"do_sample": True, "top_p": 0.0}, "`top_p` must be"),
        (ids, {"do_sample": True, "min_p": 1.1}, "`min_p` must be"),
        (ids, {"repetition_penalty": 0.0}, "`repetition_penalty` must be"),
        (ids, {"do_sample": True, "seed": -1}, "`seed` must lie in"),
    ]
    if getattr(case.config, "max_positions", None):
        bad.append((ids, {"max_length": case.config.max_positions + 1}, "`max_positions`"))
    for given, options, message in bad:
        with pytest.raises(ValueError, match=message):
            model.generate(given, **options)
