"""AdamW against its formulas."""

import math

import keras
import numpy as np
import pytest
from helpers import normal, numpy

from keras_tx.training import adamw

PEAK, LEAST, WARMUP, STEPS = 3e-3, 1e-4, 4, 20


def linear_model() -> keras.Model:
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3), keras.layers.LayerNormalization()])
    model.layers[0].bias.assign([0.3, -0.2, 0.1])
    return model


def rate(step: int) -> float:
    """Of the update after `step` others."""
    if step < WARMUP:
        return PEAK * (step + 1) / (WARMUP + 1)
    done = min((step - WARMUP) / (STEPS - WARMUP), 1)
    return LEAST + (PEAK - LEAST) * (1 + math.cos(math.pi * done)) / 2


def optimizer_of(model: keras.Model, **options) -> keras.optimizers.AdamW:
    given = {"learning_rate": PEAK, "min_learning_rate": LEAST, "warmup_steps": WARMUP, "steps": STEPS} | options
    return adamw(model, **given)


def test_rate_rises_linearly_and_falls_by_a_cosine():
    optimizer = optimizer_of(linear_model())
    for step in (0, 1, 3, 4, 5, 12, 19, 20, 30):
        optimizer.iterations.assign(step)
        assert float(optimizer.learning_rate) == pytest.approx(rate(step), rel=1e-5)


def test_without_warm_up_the_first_rate_is_the_highest():
    assert float(optimizer_of(linear_model(), warmup_steps=0).learning_rate) == pytest.approx(PEAK)


def test_decay_spares_biases_and_norms():
    model = linear_model()
    optimizer = optimizer_of(model, weight_decay=0.2)
    before = [numpy(variable) for variable in model.trainable_variables]
    optimizer.apply([keras.ops.zeros(variable.shape) for variable in model.trainable_variables])
    for variable, value in zip(model.trainable_variables, before, strict=True):
        share = 0.2 * rate(0) if value.ndim == 2 else 0.0
        np.testing.assert_allclose(numpy(variable), value * (1 - share), rtol=1e-6)


@pytest.mark.parametrize("clip_norm", [None, 0.5, 1e6])
def test_five_steps_equal_adamw_by_its_definition(rng, clip_norm):
    model = linear_model()
    optimizer = optimizer_of(model, weight_decay=0.1, beta_2=0.95, clip_norm=clip_norm)
    weights = [numpy(variable).astype("float64") for variable in model.trainable_variables]
    first, second = ([np.zeros_like(weight) for weight in weights] for _ in range(2))
    for step in range(5):
        gradients = [normal(rng, *weight.shape) for weight in weights]
        optimizer.apply([keras.ops.convert_to_tensor(gradient) for gradient in gradients])
        norm = math.sqrt(sum((gradient.astype("float64") ** 2).sum() for gradient in gradients))
        for i, gradient in enumerate(gradients):
            clipped = gradient * min(1.0, (clip_norm or math.inf) / norm)
            first[i] = 0.9 * first[i] + 0.1 * clipped
            second[i] = 0.95 * second[i] + 0.05 * clipped**2
            mean, square = first[i] / (1 - 0.9 ** (step + 1)), second[i] / (1 - 0.95 ** (step + 1))
            decay = 0.1 if weights[i].ndim == 2 else 0.0
            weights[i] -= rate(step) * (mean / (np.sqrt(square) + 1e-8) + decay * weights[i])
    for variable, weight in zip(model.trainable_variables, weights, strict=True):
        np.testing.assert_allclose(numpy(variable), weight, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"warmup_steps": 20}, r"`warmup_steps` must lie in \[0, steps\) = \[0, 20\); got 20"),
        ({"warmup_steps": -1}, "`warmup_steps` must lie in"),
        ({"min_learning_rate": 1.0}, r"`min_learning_rate` must lie in \[0, learning_rate\] = \[0, 0.003\]; got 1.0"),
        ({"learning_rate": -1.0, "min_learning_rate": -2.0}, "`min_learning_rate` must lie in"),
        ({"learning_rate": math.nan}, "`min_learning_rate` must lie in"),
    ],
)
def test_options_out_of_order_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        optimizer_of(linear_model(), **options)
