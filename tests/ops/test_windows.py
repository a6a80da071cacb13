"""Windows, against their definitions in NumPy."""

import numpy as np
import pytest
from helpers import normal, numpy

from keras_tx.ops.image import windows

B, H, W, C = 2, 9, 10, 3
WINDOW = (3, 5)


def test_partition_cuts_row_by_row(rng):
    x = normal(rng, B, H, W, C)
    cut = numpy(windows.partition(x, WINDOW))
    expected = [x[b, i : i + 3, j : j + 5].reshape(-1, C) for b in range(B) for i in (0, 3, 6) for j in (0, 5)]
    np.testing.assert_array_equal(cut, np.stack(expected))
    np.testing.assert_array_equal(numpy(windows.merge(cut, WINDOW, (H, W))), x)


@pytest.mark.parametrize(
    ("window", "size"), [((3, 5), (9, 10)), ((4, 5), (12, 10)), ((3, 7), (9, 14)), ((11, 11), (11, 11))]
)
def test_pad_completes_windows_below_and_to_the_right(rng, window, size):
    x = normal(rng, B, H, W, C)
    padded = numpy(windows.pad(x, window))
    assert padded.shape == (B, *size, C)
    np.testing.assert_array_equal(padded[:, :H, :W], x)
    assert np.count_nonzero(padded) == np.count_nonzero(x)


@pytest.mark.parametrize("shift", [(0, 0), (2, 3), (-2, -3), (1, 0), (0, 4), (H + 2, 0)])
def test_roll(rng, shift):
    x = normal(rng, B, H, W, C)
    expected = np.roll(x, (-shift[0], -shift[1]), axis=(1, 2))
    np.testing.assert_array_equal(numpy(windows.roll(x, shift)), expected)


@pytest.mark.parametrize("shift", [(1, 2), (2, 0), (0, 3)])
def test_segments_part_what_only_rolling_brought_together(shift):
    """Tokens of a window are neighbours if they lie as far from each other as they did before."""
    segments = numpy(windows.segments((H, W), WINDOW, shift))
    rows, columns = (np.roll(axis, (-shift[0], -shift[1]), axis=(0, 1)) for axis in np.indices((H, W)))
    moved = np.stack([rows - np.arange(H)[:, None], columns - np.arange(W)], axis=-1)
    moved = numpy(windows.partition(moved[None], WINDOW))
    expected = (moved[:, :, None] == moved[:, None, :]).all(axis=-1)
    np.testing.assert_array_equal(segments[:, :, None] == segments[:, None, :], expected)
    assert not expected.all()


def test_relative_position_index():
    """Facts of the published models' 7 x 7 windows, and the definition at one that is not square."""
    index = windows.relative_position_index((7, 7))
    assert (index[0, 0], index[0, 48], index[48, 0], index.sum()) == (84, 0, 168, 201684)
    index = windows.relative_position_index((2, 3))
    for query in range(6):
        for key in range(6):
            down, across = query // 3 - key // 3, query % 3 - key % 3
            assert index[query, key] == (down + 1) * 5 + across + 2


def test_log_spaced_offsets():
    """Numbered as the index does; 1 where an offset is 7/8 of the reference's largest."""
    offsets = windows.log_spaced_offsets((2, 3), (9, 5))
    assert offsets.shape == (3 * 5, 2) and offsets.dtype == np.float32
    by_hand = {-2: -np.log2(5) / 3, -1: -np.log2(3) / 3, 0: 0.0, 1: np.log2(3) / 3, 2: np.log2(5) / 3}
    expected = [(down * np.log2(2) / 3, by_hand[across]) for down in (-1, 0, 1) for across in range(-2, 3)]
    np.testing.assert_allclose(offsets, expected, atol=1e-7)
    np.testing.assert_allclose(windows.log_spaced_offsets((8, 8), (9, 9))[-1], 1.0, atol=1e-7)
    assert not windows.log_spaced_offsets((1, 1), (1, 1)).any()
