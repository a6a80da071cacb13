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
    found_losses,
    inputs,
    labels,
    logits,
    named,
    predicted,
    symbolic,
)
from helpers import numpy

from keras_tx.models.core.base import Model
from keras_tx.models.core.heads import ChoiceHead
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
        y = [rng.uniform(-1, 1, x.shape).astype("float32") for x in keras.tree.flatten(outputs)]
        return (tuple(y), ["mse"] * len(y)) if len(y) > 1 else (y[0], "mse")
    return np.arange(BATCH), keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.fixture(scope="module")
def trained(case: Case) -> Trained:
    """Fitted to one batch under XLA; how far the first step moved each weight."""
    keras.utils.set_random_seed(7)  # what is made for several tests comes before the seeds of each
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
        # What is the same for all choices goes out in their softmax: its gradient is zero but for rounding.
        common = isinstance(getattr(trained.model, "head", None), ChoiceHead) and path.endswith("classifier/bias")
        assert common or step.any(), path


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
    losses = model.fit(given, y, epochs=59, verbose=0, batch_size=BATCH).history["loss"]
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
    """With weights of samples; losses, metrics and labels may have the names of the logits."""
    model = case.make()
    given = inputs(model)
    y = labels(model, given)
    several = len(y) > 1
    by_logits = {name: y[label] for name, label in model.targets.items()}
    weights = {name: 1 + np.arange(x.size, dtype="float32").reshape(x.shape) for name, x in by_logits.items()}
    crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    metrics = dict.fromkeys(model.targets, "accuracy")
    model.compile("sgd", loss=dict.fromkeys(model.targets, crossentropy), metrics=metrics)
    options = {"sample_weight": weights, "verbose": 0, "batch_size": BATCH}
    found = model.evaluate(given, by_logits, return_dict=True, **options)
    logits = {name: numpy(x) for name, x in model(given).items()}
    losses = [float(crossentropy(y[label], logits[name], weights[name])) for name, label in model.targets.items()]
    assert found["loss"] == pytest.approx(sum(losses), rel=1e-5)
    for name, label in model.targets.items():
        accuracy = (logits[name].argmax(axis=-1) == y[label]).mean()
        assert found[f"{name}_accuracy" if several else "accuracy"] == pytest.approx(accuracy, abs=1e-6)


@cases(has_head=True, is_first=True, quick=KINDS)
def test_errors_of_training(case, model):
    given = inputs(model)
    unknown = {"y": {"answers": np.zeros(BATCH)}}
    for options, message, eager in (
        ({}, "no labels: pass them to `fit`", False),
        (unknown, r"`y` must be a dict of .*; got 'answers'", True),
    ):
        fresh = case.make()  # on JAX an error in a step leaves a model without its weights
        fresh.compile("sgd", run_eagerly=eager)
        with pytest.raises(ValueError, match=message):
            fresh.fit(given, **options, verbose=0)


# === Labels and weights, in all the ways that `fit` takes them ===


def own_loss(model: Model, given, y=None, sample_weight=None) -> float:
    model.compile(run_eagerly=True)
    return float(model.test_on_batch(given, y, sample_weight))


@cases(has_head=True, is_first=True, quick=KINDS)
def test_weights_multiply_the_losses_of_samples(case):
    """As Keras counts, the mean is over the samples as they are: 2 for each is twice the loss, and 0 leaves one out."""
    model = case.make()
    given = inputs(model)
    y = labels(model, given)
    expected = sum(found_losses(model(given, **y)).values())
    assert own_loss(model, given, y, np.full(BATCH, 2.0, "float32")) == pytest.approx(2 * expected, rel=1e-5)
    weights = np.array([0.5, 2, 0], "float32")
    of_rows = []
    for row in range(BATCH):
        one = np.eye(BATCH, dtype="float32")[row]
        of_rows.append(own_loss(model, given, y, dict.fromkeys(y, one)))
    assert sum(of_rows) == pytest.approx(expected, rel=1e-5)
    assert own_loss(model, {**given, **y}, None, weights) == pytest.approx(float(weights @ of_rows), rel=1e-5)


@cases(labels_rows=True, is_first=True, quick=KINDS[:1])
def test_labels_in_columns_and_in_floating_point(case):
    model = case.make()
    given = inputs(model)
    y = labels(model, given)
    expected = own_loss(model, given, y)
    column = {name: x[..., None].astype("float64") for name, x in y.items()}
    by_logits = {name: column[label] for name, label in model.targets.items()}
    assert own_loss(model, list(given.values()), by_logits) == pytest.approx(expected, rel=1e-6)
    assert own_loss(model, given, tuple(column.values())) == pytest.approx(expected, rel=1e-6)


@cases(labels_rows=True, is_first=True, quick=KINDS[:1])
def test_labels_among_the_inputs_have_metrics_and_those_of_minus_100_no_part(case):
    model = case.make()
    given = inputs(model)
    y = labels(model, given)
    ignored = {name: np.where(np.arange(x.size).reshape(x.shape) % 2, -100, x) for name, x in y.items()}
    model.compile(run_eagerly=True, metrics=dict.fromkeys(model.targets, "sparse_categorical_accuracy"))
    found = model.evaluate({**given, **ignored}, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(sum(found_losses(model(given, **ignored)).values()), rel=1e-5)
    outputs = model(given)
    for name, label in model.targets.items():
        right = numpy(outputs[name]).argmax(axis=-1) == y[label]
        accuracy = found[(f"{name}_" if len(y) > 1 else "") + "sparse_categorical_accuracy"]
        assert accuracy == pytest.approx(right[ignored[label] != -100].mean(), abs=1e-6)


@cases(labels_rows=True, is_first=True, quick=KINDS[:1])
def test_classes_have_weights(case):
    model = without_dropout(case)
    given = inputs(model)
    y = labels(model, given)
    model.compile(run_eagerly=True)
    if len(y) > 1:
        with pytest.raises(ValueError, match="`class_weight` is for one kind of labels"):
            model.fit(given, y, class_weight={0: 2.0}, verbose=0)
        return
    common = int(np.bincount(y["labels"].ravel()).argmax())
    weights = np.where(y["labels"] == common, np.float32(3), 1)
    expected = (({common: 3.0}, own_loss(model, given, y, weights)), (None, own_loss(model, given, y)))
    model.compile(keras.optimizers.SGD(0.0))
    for class_weight, loss in expected:
        found = model.fit(given, y, class_weight=class_weight, batch_size=BATCH, verbose=0).history["loss"]
        assert found == pytest.approx([loss], rel=1e-5)


@cases(has_head=True, is_first=True, quick=KINDS[:1])
def test_labels_that_no_class_has_stop_fit(case):
    """In arrays, and in any batch of a dataset: a compiled step could but give NaN."""
    import tensorflow as tf

    model = case.make()
    given = inputs(model)
    y = labels(model, given)
    for name in set(y) & set(model.head.num_classes_of):
        model = case.make()  # on JAX an error in a step leaves a model without its weights
        model.compile(run_eagerly=True)
        wrong = {**y, name: y[name] + 1000}
        for fit, error in (
            (lambda: model.fit(given, wrong, verbose=0), ValueError),  # noqa: B023
            (lambda: model.train_on_batch(given, wrong), ValueError),  # noqa: B023
            (
                lambda: model.evaluate(tf.data.Dataset.from_tensor_slices((given, wrong)).batch(2), verbose=0),  # noqa: B023
                tf.errors.InvalidArgumentError,
            ),
        ):
            with pytest.raises(error, match=f"`{name}` must be classes in"):
                fit()


def without_dropout(case: Case) -> Model:
    rates = [name for name in case.config.to_dict() if "dropout" in name or name in ("drop_path", "drop_rate")]
    return dataclasses.replace(case, config=case.config.replace(**dict.fromkeys(rates, 0.0))).make()
