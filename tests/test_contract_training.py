"""The contract of every registered model and head: training."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
from contract import (
    BATCH,
    KINDS,
    Case,
    arrays,
    cases,
    every_case,
    every_image,
    every_text,
    inputs,
    labels,
    logits,
    named,
    predicted,
    symbolic,
)
from helpers import numpy

from keras_tx.models.core.base import Model
from keras_tx.ops.image.patches import pair


@dataclasses.dataclass
class Trained:
    model: Model
    given: dict
    moved: list[tuple[str, np.ndarray]]
    losses: list[float]


def task(case: Case, model: Model, given: dict) -> tuple:
    """What the outputs shall become, and a loss if the model has none of its own."""
    if case.has_head:
        return labels(model, given), None
    if case.is_image and isinstance(model(given), dict):
        return None, None  # the images are their own labels
    if case.is_text:
        outputs, rng = model(given), np.random.default_rng(3)
        y = keras.tree.map_structure(lambda x: rng.uniform(-1, 1, x.shape).astype("float32"), outputs)
        losses = keras.tree.map_structure(lambda x: "mse", outputs)
        return y, list(losses) if isinstance(losses, tuple) else losses
    return np.arange(BATCH), keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.fixture(scope="module")
def trained(case: Case) -> Trained:
    """Fitted to one batch under XLA; how far the first step moved each weight."""
    model = case.make()
    given = inputs(model)
    y, loss = task(case, model, given)
    model.compile(keras.optimizers.Adam(0.03), loss=loss, jit_compile=True)
    before = [numpy(weight) for weight in model.trainable_weights]
    first = model.fit(given, y, epochs=1, verbose=0, batch_size=BATCH)
    moved = [(weight.path, numpy(weight) - old) for weight, old in zip(model.trainable_weights, before, strict=True)]
    rest = model.fit(given, y, epochs=29, verbose=0, batch_size=BATCH)
    return Trained(model, given, moved, first.history["loss"] + rest.history["loss"])


@pytest.mark.slow
@every_case
def test_every_weight_gets_a_finite_gradient(trained):
    for path, step in trained.moved:
        assert np.isfinite(step).all(), path
        assert step.any(), path


@pytest.mark.slow
@every_case
def test_fit_under_xla_learns(trained):
    assert np.isfinite(trained.losses).all()
    assert trained.losses[-1] < 0.8 * trained.losses[0]


@pytest.mark.slow
@every_case
def test_a_trained_model_is_saved_with_its_optimizer(trained, tmp_path):
    trained.model.save(tmp_path / "trained.keras")
    loaded = keras.saving.load_model(tmp_path / "trained.keras")
    np.testing.assert_allclose(
        logits(loaded(trained.given)), logits(trained.model(trained.given)), atol=1e-6, rtol=1e-6
    )
    assert int(loaded.optimizer.iterations) == len(trained.losses)
    ours, theirs = (m.optimizer.variables for m in (trained.model, loaded))
    for have, want in zip(theirs, ours, strict=True):
        np.testing.assert_array_equal(numpy(have), numpy(want))


@every_text
def test_mixed_bfloat16(case):
    model = case.make(dtype="mixed_bfloat16")
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    assert {keras.backend.standardize_dtype(x.dtype) for x in named(model(symbolic(model))).values()} == {"bfloat16"}


@every_image
def test_images_in_mixed_bfloat16(case):
    model = case.make(dtype="mixed_bfloat16")
    assert {weight.dtype for weight in model.weights} == {"float32"}
    outputs = model(symbolic(model))
    outputs = outputs["logits"] if isinstance(outputs, dict) else outputs
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"


@pytest.mark.slow
@cases(has_head=True, is_first=True)
def test_fit_in_mixed_bfloat16_with_labels_among_the_inputs(case):
    model = case.make(dtype="mixed_bfloat16")
    given = inputs(model)
    given |= labels(model, given)
    learns(model, None, given, None)


@pytest.mark.slow
@cases(is_image=True, is_first=True, has_head=False)
def test_fit_on_images_in_mixed_bfloat16(case):
    model = case.make(dtype="mixed_bfloat16")
    given = inputs(model)
    y, loss = task(case, model, given)
    learns(model, loss, given, y)


def learns(model: Model, loss, given: dict, y) -> None:
    model.compile(keras.optimizers.Adam(0.03), loss=loss, jit_compile=True)
    losses = model.fit(given, y, epochs=29, verbose=0, batch_size=BATCH).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.slow
@cases(is_image=True, is_first=True)
def test_images_of_another_size_under_xla(case):
    """Training and inference are one compiled program each: XLA refuses what it cannot compile."""
    model = case.make()
    height, width = pair(case.config.image_size)
    given = inputs(model, image_size=(2 * height, width))
    y, loss = task(case, model, given)
    model.compile("sgd", loss=loss, jit_compile=True)
    assert np.isfinite(model.train_on_batch(given, y))
    for have, want in zip(arrays(model.predict_on_batch(given)), arrays(predicted(model(given))), strict=True):
        np.testing.assert_allclose(have, want, atol=1e-5, rtol=1e-5)


@cases(labels_rows=True, quick=KINDS)
def test_keras_losses_and_metrics_apply_to_the_logits(case):
    """Samples have weights where there is one target."""
    model = case.make()
    given = inputs(model)
    y = labels(model, given)
    several = len(y) > 1
    weights = None if several else 1 + np.arange(y["labels"].size, dtype="float32").reshape(y["labels"].shape)
    crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    metrics = dict.fromkeys(model.targets, "accuracy") if several else ["accuracy"]
    model.compile("sgd", loss=crossentropy, metrics=metrics)
    options = {"sample_weight": weights, "verbose": 0, "batch_size": BATCH}
    found = model.evaluate(given, y if several else y["labels"], return_dict=True, **options)
    logits = {name: numpy(x) for name, x in model(given).items()}
    losses = [float(crossentropy(y[label], logits[name], weights)) for name, label in model.targets.items()]
    assert found["loss"] == pytest.approx(sum(losses), rel=1e-5)
    for name, label in model.targets.items():
        accuracy = (logits[name].argmax(axis=-1) == y[label]).mean()
        assert found[f"{name}_accuracy" if several else "accuracy"] == pytest.approx(accuracy, abs=1e-6)


@cases(has_head=True, is_first=True, quick=KINDS)
def test_errors_of_training(case, model):
    given = inputs(model)
    weighted = {"y": labels(model, given), "sample_weight": np.ones(BATCH)}
    unknown = {"y": {"answers": np.zeros(BATCH)}}
    for options, message, eager in (
        ({}, "no labels: pass them to `fit`", False),
        (weighted, "takes no `sample_weight`", True),
        (unknown, r"`y` must be a dict of .*; got 'answers'", True),
    ):
        fresh = case.make()  # on JAX an error in a step leaves a model without its weights
        fresh.compile("sgd", run_eagerly=eager)
        with pytest.raises(ValueError, match=message):
            fresh.fit(given, **options, verbose=0)
