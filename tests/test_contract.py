"""The contract of every registered model and head, at each of its tiny configs: shapes and saving."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from contract import (
    BACKEND,
    BATCH,
    CASES,
    KINDS,
    LENGTH,
    arrays,
    cases,
    classes_of,
    every_case,
    every_generator,
    every_head,
    every_image,
    every_text,
    found_losses,
    inputs,
    labels,
    logits,
    predicted,
    symbolic,
    texts,
)
from helpers import run_python

from keras_tx.ops.image.patches import pair

# === Shapes ===


@cases(quick=KINDS)
def test_batch_and_length_are_free(case, model):
    """Eager and symbolic passes agree at any batch and length."""
    given = symbolic(model)
    functional = keras.Model(given, model(given))
    for batch, length in ((BATCH, LENGTH), (2, 5)):
        given = inputs(model, batch, length)
        for have, want in zip(arrays(predicted(functional(given))), arrays(predicted(model(given))), strict=True):
            assert have.shape == want.shape and have.shape[0] == batch
            np.testing.assert_allclose(have, want, atol=1e-5, rtol=1e-5)


@cases(quick=KINDS)
def test_predict_gives_arrays(case, model):
    """Compiled and eager passes agree; those of a head from the ids or images alone, by name and by place."""
    given = inputs(model)
    if case.has_head:
        first, *others = given.items()
        given = dict([first, *(item for item in others if item[0] == "decoder_input_ids")])
    found = model.predict(given, verbose=0, batch_size=2)
    expected = model(*given.values()) if case.has_head else model(given)
    assert not case.has_head or set(found) == set(case.targets)
    for have, want in zip(arrays(found), arrays(predicted(expected)), strict=True):
        assert have.shape == want.shape and have.shape[0] == BATCH
        np.testing.assert_allclose(have, want, atol=1e-5, rtol=1e-5)


@every_text
def test_ids_that_keras_makes_floats(case, model):
    """Whole numbers count as ids: Keras traces with float32 where it does not know the dtypes."""
    given = inputs(model)
    floats = {name: x.astype("float32") for name, x in given.items()}
    for have, want in zip(arrays(model.predict_on_batch(floats)), arrays(predicted(model(given))), strict=True):
        np.testing.assert_allclose(have, want, atol=1e-5, rtol=1e-5)


@cases(is_image=True, quick=KINDS)
def test_image_size_is_free(case, model):
    """Compiled and eager passes agree on images twice as high, which give other logits upside down."""
    height, width = pair(case.config.image_size)
    given = inputs(model, image_size=(2 * height, width))
    outputs = model(given)
    for have, want in zip(arrays(model.predict(given, verbose=0)), arrays(predicted(outputs)), strict=True):
        assert have.shape == want.shape and have.shape[0] == BATCH
        np.testing.assert_allclose(have, want, atol=1e-5, rtol=1e-5)
    given["images"] = np.flip(given["images"], axis=1)
    assert not np.allclose(logits(model(given)), logits(outputs), atol=1e-3)


@every_image
def test_images_by_themselves_or_in_a_dict(case, model):
    given = inputs(model)
    by_name = {name: x for name, x in given.items() if name != "images"}
    for found, expected in zip(arrays(model(given["images"], **by_name)), arrays(model(given)), strict=True):
        np.testing.assert_array_equal(found, expected)


@every_generator
def test_logits_for_every_token(case, model):
    given = inputs(model)
    outputs, ids = model(given), texts(given)
    assert set(outputs) == {"logits"}
    assert logits(outputs).shape == (*ids[-1].shape, case.config.vocab_size)
    np.testing.assert_allclose(logits(model(*ids)), logits(outputs), atol=2e-5)


@every_head
def test_labels_give_losses(case, model):
    given = inputs(model)
    y = labels(model, given)
    losses = found_losses(model(given, **y))
    assert losses and all(np.isfinite(loss) and loss > 0 for loss in losses.values())
    assert found_losses(model({**given, **y})) == pytest.approx(losses, rel=1e-6)
    assert found_losses(model.own_losses(model(given), y)) == pytest.approx(losses, rel=1e-6)
    for name, x in classes_of(y).items():
        fewer = {**y, name: np.where(np.arange(x.size).reshape(x.shape) % 2, -100, x)}
        assert found_losses(model(given, **fewer)) != pytest.approx(losses, rel=1e-6)


# === Saving ===


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """Every case saved with its outputs, and loaded by a fresh process of each backend that is installed."""
    directory = tmp_path_factory.mktemp("saved")
    for case in CASES:
        model, path = case.make_random(), directory / f"{case.name}.keras"
        given = inputs(model)
        model.save(path)
        model.save_weights(path.with_suffix(".weights.h5"))
        path.with_suffix(".json").write_text(json.dumps({"class": case.cls.__name__, "config": model.get_config()}))
        np.savez(path.with_suffix(".npz"), **given)
        # by the same eager pass as in the fresh processes: a compiled one rounds otherwise
        np.savez(path.with_suffix(".outputs.npz"), *arrays(model(given)))
    for backend in ("tensorflow", "jax"):
        if importlib.util.find_spec(backend):
            run_python(str(Path(__file__).with_name("fresh_process.py")), str(directory), backend=backend)
    return directory


@pytest.mark.slow
@every_case
@pytest.mark.parametrize("kind", ["loaded", "weights"])
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_same_numbers_in_a_fresh_process_of_either_backend(case, saved, kind, backend):
    if not importlib.util.find_spec(backend):
        pytest.skip(f"{backend} is not installed")
    expected = np.load(saved / f"{case.name}.outputs.npz")
    found = np.load(saved / f"{case.name}.{backend}.npz")
    tolerance = 1e-6 if backend == BACKEND else 1e-5
    for i in range(len(expected)):
        np.testing.assert_allclose(found[f"{kind}_{i}"], expected[f"arr_{i}"], atol=tolerance, rtol=tolerance)


@pytest.mark.any_backend
@every_case
def test_config_round_trip(case, model):
    config = json.loads(json.dumps(model.get_config()))
    copy = case.cls.from_config(config)
    assert copy.config == model.config == case.config
    assert copy.get_config() == model.get_config()
    assert [(w.path.split("/", 1)[1:], w.shape) for w in copy.weights] == [
        (w.path.split("/", 1)[1:], w.shape) for w in model.weights
    ]
    assert case.cls.from_config(case.make(dtype="mixed_bfloat16").get_config()).dtype_policy.name == "mixed_bfloat16"
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.config.vocab_size = 3
    with pytest.raises(ValueError, match="has no field `width7`"):
        case.make(width7=3)


@every_case
def test_built_when_made(case):
    model = case.make()
    assert model.built and model.trainable_weights
    assert [layer.path for layer in model._flatten_layers() if not layer.built] == []
    before = [id(x) for x in model.variables]
    model(symbolic(model))
    assert [id(x) for x in model.variables] == before
    paths = [weight.path for weight in model.weights]
    assert len(set(paths)) == len(paths)
