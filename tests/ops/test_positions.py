"""Sinusoids by the paper's formula; rotations as complex numbers, and what makes them relative."""

import math

import numpy as np
import pytest
from helpers import normal, numpy, rotate

from keras_tx.ops import positions


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


@pytest.mark.parametrize("at", [np.array([0, 2, 3, 7, 31]), np.array([[0, 1, 2, 3, 4], [9, 8, 5, 2, 17]])])
@pytest.mark.parametrize("base", [10000.0, 17.0])
def test_rotation_is_multiplication_by_a_unit_complex_number(rng, at, base):
    x = normal(rng, 2, 3, 5, 14)
    turned = numpy(positions.rotate(x, *positions.rotary(at, 14, base)))
    np.testing.assert_allclose(turned, rotate(x, at if at.ndim == 1 else at[:, None], base), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=-1), np.linalg.norm(x, axis=-1), rtol=1e-5)


def test_scores_depend_on_the_distance_alone(rng):
    q, k = normal(rng, 1, 1, 1, 22), normal(rng, 1, 1, 1, 22)

    def score(query_position, key_position):
        turned_q = positions.rotate(q, *positions.rotary(np.array([query_position]), 22))
        turned_k = positions.rotate(k, *positions.rotary(np.array([key_position]), 22))
        return float(np.sum(numpy(turned_q) * numpy(turned_k)))

    assert score(3, 1) == pytest.approx(score(19, 17), abs=1e-4)
    assert score(3, 1) != pytest.approx(score(1, 3), abs=1e-2)
    assert score(5, 5) == pytest.approx(float(np.sum(q * k)), abs=1e-4)


def test_apply_rotary_pos_emb_rotates_both(rng):
    q, k, at = normal(rng, 2, 6, 5, 14), normal(rng, 2, 3, 5, 14), np.arange(5)
    turned_q, turned_k = positions.apply_rotary_pos_emb(q, k, *positions.rotary(at, 14))
    np.testing.assert_allclose(turned_q, rotate(q, at), atol=1e-5)
    np.testing.assert_allclose(turned_k, rotate(k, at), atol=1e-5)


@pytest.mark.parametrize("function", [positions.sinusoidal, positions.rotary])
@pytest.mark.parametrize("dim", [7, 0, -2, 2.0])
def test_errors(function, dim):
    with pytest.raises(ValueError, match="`dim` must be"):
        function(np.arange(3), dim)
