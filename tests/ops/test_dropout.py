"""Dropout from halved draws: the rate, the mean, and independence of the two halves of a draw."""

import keras
import numpy as np
import pytest
from helpers import numpy

from keras_tx.ops.dropout import dropout

SHAPES = {"even": (3, 500, 101), "even last": (3, 101, 500), "odd": (3, 101, 501), "flat": (150_000,)}


@pytest.mark.parametrize("rate", [0.0001, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_drops_at_the_rate_and_keeps_the_mean(shape, rate):
    x = np.ones(shape, "float32")
    y = numpy(dropout(x, rate, keras.random.SeedGenerator(5)))
    share = np.mean(y == 0)
    deviation = np.sqrt(rate * (1 - rate) / x.size)
    assert abs(share - rate) < 1 / 2048 + 5 * deviation
    kept = np.unique(y[y != 0])
    assert len(kept) == 1  # one scale for all
    assert abs(kept[0] - 1 / (1 - rate)) < 1 / 2048 / (1 - rate) ** 2
    assert abs(y.mean() - 1) < 5 * np.sqrt(rate / (1 - rate) / x.size) + 1e-3


def test_the_two_elements_of_a_draw_are_independent():
    rate = 0.3
    y = numpy(dropout(np.ones((2, 100_000), "float32"), rate, keras.random.SeedGenerator(7)))
    both = np.mean((y[0] == 0) & (y[1] == 0))
    assert abs(both - rate**2) < 5 * np.sqrt(rate**2 * (1 - rate**2) / 100_000) + 2 / 2048


def test_each_call_draws_anew_and_a_seed_repeats():
    x = np.ones((4, 64), "float32")
    seed = keras.random.SeedGenerator(3)
    first, second = (numpy(dropout(x, 0.5, seed)) for _ in range(2))
    assert (first != second).any()
    np.testing.assert_array_equal(first, numpy(dropout(x, 0.5, keras.random.SeedGenerator(3))))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_keeps_the_dtype(dtype):
    x = keras.ops.ones((4, 6), dtype)
    y = dropout(x, 0.25, keras.random.SeedGenerator(1))
    assert keras.backend.standardize_dtype(y.dtype) == dtype
