"""Masks against loops over positions."""

import numpy as np
import pytest
from helpers import numpy

from keras_tx.ops.attention import masks

QUERIES, KEYS = np.array([0, 3, 4, 8, 11]), np.array([1, 0, 3, 5, 8, 2, 13])


def loop(allowed) -> np.ndarray:
    return np.array([[allowed(q, k) for k in KEYS] for q in QUERIES])


@pytest.mark.parametrize(
    ("mask", "allowed"),
    [
        (masks.causal, lambda q, k: k <= q),
        (lambda q, k: masks.window(q, k, 3), lambda q, k: abs(q - k) <= 2),
        (lambda q, k: masks.window(q, k, 1), lambda q, k: q == k),
        (lambda q, k: masks.prefix(q, k, 4), lambda q, k: k < 4 or k <= q),
        (lambda q, k: masks.dilated(q, k, 3), lambda q, k: (q - k) % 3 == 0),
        (lambda q, k: masks.first(q, k, 3), lambda q, k: k < 3),
        (lambda q, k: masks.padding(q, k, 8), lambda q, k: k < 8),
        (
            lambda q, k: masks.combine(masks.causal(q, k), masks.either(masks.window(q, k, 2), masks.first(q, k, 1))),
            lambda q, k: k <= q and (q - k < 2 or k < 1),
        ),
        (lambda q, k: masks.segments(q % 3, k % 3), lambda q, k: q % 3 == k % 3),
        (
            lambda q, k: masks.combine(None, masks.causal(q, k), None, masks.window(q, k, 5)),
            lambda q, k: k <= q < k + 5,
        ),
    ],
    ids=["causal", "window 3", "window 1", "prefix", "dilated", "first", "padding", "sinks", "segments", "combined"],
)
def test_equals_loop(mask, allowed):
    np.testing.assert_array_equal(mask(QUERIES, KEYS), loop(allowed))


def test_batches_of_positions_broadcast():
    queries = np.stack([QUERIES, QUERIES + 2])
    mask = numpy(masks.causal(queries, KEYS))
    assert mask.shape == (2, 5, 7)
    for row, positions in zip(mask, queries, strict=True):
        np.testing.assert_array_equal(row, positions[:, None] >= KEYS)


@pytest.mark.parametrize("mask", [masks.prefix, masks.padding])
def test_a_length_for_each_sample(mask):
    found = numpy(mask(QUERIES, KEYS, np.array([2, 9])))
    assert found.shape == (2, 5, 7)
    for row, length in zip(found, (2, 9), strict=True):
        np.testing.assert_array_equal(row, mask(QUERIES, KEYS, length))


def test_combine_of_nothing_is_nothing():
    assert masks.combine() is None
    assert masks.combine(None, None) is None


@pytest.mark.parametrize(
    ("shape", "expected"), [((2, 7), (2, 1, 1, 7)), ((2, 5, 7), (2, 1, 5, 7)), ((2, 3, 5, 7), (2, 3, 5, 7))]
)
def test_per_head_broadcasts_and_keeps_what_is_not_zero(shape, expected):
    numbers = np.arange(np.prod(shape)).reshape(shape) % 3
    mask = numpy(masks.per_head(numbers))
    assert mask.shape == expected and mask.dtype == bool
    np.testing.assert_array_equal(mask.reshape(shape), numbers != 0)


def test_errors():
    for mask, name in ((masks.window, "size"), (masks.dilated, "step"), (masks.first, "count")):
        with pytest.raises(ValueError, match=f"`{name}` must be a whole number of at least 1; got 0"):
            mask(QUERIES, KEYS, 0)
    with pytest.raises(ValueError, match="none of them None"):
        masks.either(masks.causal(QUERIES, KEYS), None)
    with pytest.raises(ValueError, match="is `bias`"):
        masks.per_head(np.array([[0.0, -1e9]]))
    for shape in ((7,), (1, 2, 3, 5, 7)):
        with pytest.raises(ValueError, match="`attention_mask` must be"):
            masks.per_head(np.ones(shape))
