"""Sinusoids by the paper's formula."""

import math

import numpy as np
import pytest
from helpers import normal, numpy

from keras_tx.ops.attention import positions
from keras_tx.ops.attention.rotary import rotary


def test_sinusoidal_by_the_formula():
    dim, at = 10, np.array([0, 1, 7, 1023])
    encoding = numpy(positions.sinusoidal(at, dim))
    assert encoding.shape == (4, dim) and encoding.dtype == np.float32
    for row, position in zip(encoding, at, strict=True):
        for channel in range(dim):
            angle = position / 10000 ** (2 * (channel // 2) / dim)
            assert row[channel] == pytest.approx((math.cos if channel % 2 else math.sin)(angle), abs=2e-4)


def test_sinusoidal_takes_batches_and_bases():
    at = np.array([[0, 1, 2], [5, 3, 1]])
    encoding = numpy(positions.sinusoidal(at, 4, base=100.0))
    assert encoding.shape == (2, 3, 4)
    np.testing.assert_allclose(encoding[1, 0], [math.sin(5), math.cos(5), math.sin(0.5), math.cos(0.5)], atol=1e-6)


def test_alibi_slopes_of_any_number_of_heads():
    """Eight heads as in the paper, section 3; others as its authors' code has them."""
    np.testing.assert_allclose(positions.alibi_slopes(8), [2.0**-i for i in range(1, 9)])
    np.testing.assert_allclose(positions.alibi_slopes(1), [2.0**-8])
    np.testing.assert_allclose(positions.alibi_slopes(3), [2.0**-4, 2.0**-8, 2.0**-2])
    expected = [2.0**-i for i in range(1, 9)] + [2.0**-0.5, 2.0**-1.5, 2.0**-2.5, 2.0**-3.5]
    np.testing.assert_allclose(positions.alibi_slopes(12), expected, rtol=1e-6)


def test_alibi_is_a_slope_times_the_distance():
    queries, keys = np.array([[3, 4], [0, 9]]), np.array([0, 3, 7])
    bias = numpy(positions.alibi(queries, keys, 3))
    assert bias.shape == (2, 3, 2, 3) and bias.dtype == np.float32
    for index in np.ndindex(bias.shape):
        row, head, query, key = index
        assert bias[index] == pytest.approx(-(2.0 ** -[4, 8, 2][head]) * abs(queries[row, query] - keys[key]))


@pytest.mark.parametrize("start", [0, 2])
def test_by_key_puts_offsets_beside_their_keys(start, rng):
    queries, keys = 3, 5
    offsets = numpy(positions.relative_offsets(start, queries, keys))
    numbers = normal(rng, 2, 3, queries, queries + keys - 1)
    found = numpy(positions.by_key(numbers, keys))
    back = numpy(positions.by_offset(found))
    assert found.shape == (2, 3, queries, keys)
    expected = np.zeros_like(numbers)
    for query in range(queries):
        for key in range(keys):
            (at,) = np.flatnonzero(offsets == key - (start + query))
            np.testing.assert_array_equal(found[..., query, key], numbers[..., query, at])
            expected[..., query, at] = numbers[..., query, at]
    np.testing.assert_array_equal(back, expected)


@pytest.mark.parametrize("function", [positions.sinusoidal, rotary])
@pytest.mark.parametrize("dim", [7, 0, -2, 2.0])
def test_errors(function, dim):
    with pytest.raises(ValueError, match="`dim` must be"):
        function(np.arange(3), dim)
