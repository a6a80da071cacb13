"""Sinusoids by the paper's formula."""

import math

import numpy as np
import pytest
from helpers import numpy

from keras_tx.ops import positions, rotary


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


@pytest.mark.parametrize("function", [positions.sinusoidal, rotary])
@pytest.mark.parametrize("dim", [7, 0, -2, 2.0])
def test_errors(function, dim):
    with pytest.raises(ValueError, match="`dim` must be"):
        function(np.arange(3), dim)
