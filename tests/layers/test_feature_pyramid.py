"""Pyramids of feature maps by their definitions."""

import numpy as np
import pytest
from helpers import dense, gelu, layer_norm, normal, numpy, randomize

from keras_tx.layers.image.feature_pyramid import PyramidDecoder, SimpleFeaturePyramid
from keras_tx.ops.image.resample import bilinear_matrix

SCALES = (4, 2, 1, 0.5)


@pytest.fixture
def pyramid(rng) -> SimpleFeaturePyramid:
    layer = SimpleFeaturePyramid(11, SCALES)
    layer.build()
    return randomize(layer, rng)


def shuffled(x: np.ndarray) -> np.ndarray:
    """Four channels of each as a square of 2 x 2."""
    batch, height, width, depth = x.shape
    squares = x.reshape(batch, height, width, depth // 4, 2, 2).transpose(0, 1, 4, 2, 5, 3)
    return squares.reshape(batch, 2 * height, 2 * width, depth // 4)


def test_scales_by_definition(pyramid, rng):
    maps = [normal(rng, 2, 3, 5, 11) for _ in SCALES]
    found = [numpy(x) for x in pyramid(maps)]
    (first, norm, second), (only,), *_ = pyramid.finer
    inner = shuffled(dense(first, maps[0]))
    inner = gelu(layer_norm(inner, numpy(norm.gamma), numpy(norm.beta), 1e-6))
    np.testing.assert_allclose(found[0], shuffled(dense(second, inner)), atol=1e-4)
    np.testing.assert_allclose(found[1], shuffled(dense(only, maps[1])), atol=1e-5)
    np.testing.assert_array_equal(found[2], maps[2])
    edges = np.pad(maps[3], ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=-np.inf)
    np.testing.assert_array_equal(found[3], edges.reshape(2, 2, 2, 3, 2, 11).max(axis=(2, 4)))
    assert [x.shape[1:] for x in found] == [(12, 20, 2), (6, 10, 5), (3, 5, 11), (2, 3, 11)]
    assert pyramid.widths == (2, 5, 11, 11)


def test_one_map_for_all(pyramid, rng):
    x = normal(rng, 2, 3, 5, 11)
    for found, expected in zip(pyramid(x), pyramid([x] * 4), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_decoder_by_definition(rng):
    layer = PyramidDecoder((3, 5, 7), 11)
    layer.build()
    randomize(layer, rng)
    maps = [normal(rng, 2, 7, 9, 3), normal(rng, 2, 4, 5, 5), normal(rng, 2, 2, 3, 7)]
    merged = [dense(lateral, x) for lateral, x in zip(layer.laterals, maps, strict=True)]
    merged[1] = merged[1] + resized(merged[2], (4, 5))
    merged[0] = merged[0] + resized(merged[1], (7, 9))
    expected = 0
    for x, convolution, norm in zip(merged, layer.convolutions, layer.norms, strict=True):
        kernel, padded = numpy(convolution.kernel), np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
        convolved = np.einsum("bhwcij,ijcd->bhwd", windows, kernel) + numpy(convolution.bias)
        expected = expected + resized(gelu(layer_norm(convolved, numpy(norm.gamma), numpy(norm.beta), 1e-6)), (7, 9))
    found = numpy(layer(maps))
    assert found.shape == (2, 7, 9, 11)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def resized(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    rows, columns = (bilinear_matrix(old, new) for old, new in zip(x.shape[1:3], size, strict=True))
    return np.einsum("ih,jw,bhwc->bijc", rows, columns, x)


def test_configs():
    pyramid = SimpleFeaturePyramid.from_config(SimpleFeaturePyramid(11, (2, 1), 1e-3).get_config())
    assert (pyramid.dim, pyramid.scales, pyramid.norm_epsilon) == (11, (2, 1), 1e-3)
    decoder = PyramidDecoder.from_config(PyramidDecoder((3, 5), 7, 1e-3).get_config())
    assert (decoder.dims, decoder.width, decoder.norm_epsilon) == ((3, 5), 7, 1e-3)


def test_errors(pyramid, rng):
    for scales in ((3, 1), (0,), ()):
        with pytest.raises(ValueError, match="the scales of a pyramid must be powers of 2"):
            SimpleFeaturePyramid(11, scales)
    with pytest.raises(ValueError, match="a width of 11 cannot be halved for a scale of 16"):
        SimpleFeaturePyramid(11, (16,))
    with pytest.raises(ValueError, match=r"`maps` must be one, or one for each of `scales` = .*; got 3"):
        pyramid([normal(rng, 2, 3, 5, 11)] * 3)
    with pytest.raises(ValueError, match="the last axis of `maps` must be 11"):
        pyramid(normal(rng, 2, 3, 5, 7))
    with pytest.raises(ValueError, match="`maps` must be 2, as `dims`; got 1"):
        PyramidDecoder((3, 5), 7)([normal(rng, 2, 3, 5, 3)])
    with pytest.raises(ValueError, match="`dims` must be a whole number"):
        PyramidDecoder((3, 0), 7)
