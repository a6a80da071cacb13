"""Resampling by its definition, and against Pillow's numbers."""

import numpy as np
import pytest
from helpers import compiled, normal, numpy
from keras import ops

from keras_tx.ops.image.resample import (
    adapt_channels,
    bicubic_matrix,
    bilinear_matrix,
    resample_kernel,
    resample_positions,
    resize_maps,
)


def keys(x: float) -> float:
    """Keys' kernel (1981), a = -1/2, as the paper writes it."""
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


@pytest.mark.parametrize(("old", "new"), [(5, 13), (13, 5), (7, 7), (14, 24), (3, 1), (1, 3)])
def test_matrix_by_definition(old, new):
    """Each output lies at the middle of its step; the kernel is as wide as a step of the coarser grid."""
    scale = old / new
    width = max(scale, 1)
    expected = [[keys((j + 0.5 - (i + 0.5) * scale) / width) for j in range(old)] for i in range(new)]
    expected = np.array(expected) / np.sum(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(bicubic_matrix(old, new), expected, atol=1e-12)


def test_numbers_of_pillow():
    """`Image.resize((5, 1), Image.BICUBIC)` of the row 1, 2, 4, 8, 16, 32, 64 in mode "F"."""
    row = 2.0 ** np.arange(7)
    expected = [1.1822126, 2.9275362, 7.87526, 21.946169, 55.566162]
    np.testing.assert_allclose(bicubic_matrix(7, 5) @ row, expected, rtol=1e-6)


@pytest.mark.parametrize(("old", "new"), [(5, 13), (13, 5), (7, 7)])
def test_a_size_that_is_not_known_yet(old, new):
    found = numpy(bicubic_matrix(old, ops.convert_to_tensor(new, "int32")))
    np.testing.assert_allclose(found, bicubic_matrix(old, new), atol=1e-5)


def test_positions(rng):
    """A plane stays one, away from the borders; the rows before it stay as they are."""
    rows, columns = np.indices((7, 11))
    table = np.concatenate([rng.normal(size=(3, 1)), (2.0 * rows + 5.0 * columns).reshape(-1, 1)])[None]
    found = resample_positions(table, 3, (7, 11), (14, 33))
    assert found.shape == (1, 3 + 14 * 33, 1)
    np.testing.assert_array_equal(found[:, :3], table[:, :3])
    rows, columns = np.indices((14, 33))
    expected = 2.0 * ((rows + 0.5) / 2 - 0.5) + 5.0 * ((columns + 0.5) / 3 - 0.5)
    inside = (slice(4, -4), slice(6, -6))
    np.testing.assert_allclose(found[0, 3:].reshape(14, 33)[inside], expected[inside], atol=1e-6)
    assert resample_positions(table, 3, (7, 11), (7, 11)) is table


def test_positions_under_xla(rng):
    table = rng.normal(size=(1, 2 + 15, 7)).astype("float32")
    found = compiled(lambda x: resample_positions(x, 2, (3, 5), (7, 2)))(ops.convert_to_tensor(table))
    np.testing.assert_allclose(found, resample_positions(table, 2, (3, 5), (7, 2)), atol=1e-5)


def test_a_kernel_embeds_resized_patches_as_before(rng):
    """Patches that are enlarged have the same embedding: the pseudo-inverse undoes the enlarging."""
    kernel, patch = rng.normal(size=(3, 2, 5, 7)), rng.normal(size=(3, 2, 5))
    larger = np.einsum("ih,hwc,jw->ijc", bicubic_matrix(3, 8), patch, bicubic_matrix(2, 4))
    found = np.einsum("hwc,hwcd->d", larger, resample_kernel(kernel, (8, 4)))
    np.testing.assert_allclose(found, np.einsum("hwc,hwcd->d", patch, kernel), atol=1e-8)


def test_channels(rng):
    kernel = rng.normal(size=(3, 2, 3, 7)).astype("float32")
    grey = rng.normal(size=(3, 2)).astype("float32")
    expected = np.einsum("hw,hwcd->d", grey, kernel)
    for channels in (1, 5, 6):
        adapted = adapt_channels(kernel, channels)
        assert adapted.shape == (3, 2, channels, 7) and adapted.dtype == np.float32
    np.testing.assert_allclose(np.einsum("hw,hwcd->d", grey, adapt_channels(kernel, 1)), expected, atol=1e-5)
    np.testing.assert_allclose(np.einsum("hw,hwcd->d", grey, adapt_channels(kernel, 6)), expected, atol=1e-5)
    np.testing.assert_allclose(adapt_channels(kernel, 5)[:, :, 4], kernel[:, :, 1] * 3 / 5, atol=1e-6)


# === Maps ===


@pytest.mark.parametrize(("old", "new"), [(5, 13), (13, 5), (7, 7), (3, 1), (1, 3)])
def test_linear_matrix_by_definition(old, new):
    """A triangle as wide as a step of the coarser grid."""
    scale = old / new
    distances = ((np.arange(old) + 0.5)[None] - (np.arange(new) + 0.5)[:, None] * scale) / max(scale, 1)
    expected = np.maximum(1 - np.abs(distances), 0)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(bilinear_matrix(old, new), expected, atol=1e-12)
    unknown = bilinear_matrix(*(ops.convert_to_tensor(size, "int32") for size in (old, new)))
    np.testing.assert_allclose(unknown, expected, atol=1e-6)


def test_resized_maps(rng):
    """Rows and columns by their matrices; a straight slope stays one, but for the borders."""
    x = normal(rng, 2, 5, 7, 3)
    expected = np.einsum("ih,jw,bhwc->bijc", bilinear_matrix(5, 11), bilinear_matrix(7, 4), x)
    np.testing.assert_allclose(resize_maps(x, (11, 4)), expected, atol=1e-5)
    np.testing.assert_array_equal(resize_maps(x, (5, 7)), x)
    slope = np.broadcast_to(np.arange(5.0)[:, None], (5, 7))[None, ..., None].astype("float32")
    larger = numpy(resize_maps(slope, (15, 7)))[0, :, 3, 0]
    np.testing.assert_allclose(np.diff(larger[2:-2]), 1 / 3, atol=1e-5)
