"""Buckets of offsets, and the bias by them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import compiled, gradients, normal, numpy
from keras import ops

from keras_tx.layers import BucketedPositionBias
from keras_tx.ops import relative_position_buckets

FIRST_OF_EACH = [8, 12, 16, 23, 32, 46, 64, 91]
"""Distances at which the wide buckets of T5's encoder begin."""
FIRST_OF_EACH_CAUSAL = [16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113]


def starts(buckets: np.ndarray) -> list[int]:
    """The places at which a rising row takes new values, after the first."""
    return (1 + np.flatnonzero(np.diff(buckets))).tolist()


def test_buckets_of_the_encoder():
    distances = np.arange(300)
    before = numpy(relative_position_buckets(-distances))
    assert starts(before) == [*range(1, 8), *FIRST_OF_EACH] and before[0] == 0 and before[-1] == 15
    np.testing.assert_array_equal(relative_position_buckets(distances[1:]), before[1:] + 16)


def test_buckets_of_the_decoder():
    distances = np.arange(300)
    before = numpy(relative_position_buckets(-distances, bidirectional=False))
    assert starts(before) == [*range(1, 16), *FIRST_OF_EACH_CAUSAL] and before[-1] == 31
    assert not numpy(relative_position_buckets(distances, bidirectional=False)).any()


@pytest.mark.parametrize(("count", "farthest"), [(7, 19), (11, 50), (32, 128), (23, 1000)])
def test_buckets_by_their_definition(count, farthest):
    exact = count // 2
    found = numpy(relative_position_buckets(-np.arange(2 * farthest), count, farthest, bidirectional=False))
    for distance, bucket in enumerate(found):
        if distance < exact:
            assert bucket == distance
        else:
            rank = (count - exact) * math.log(distance / exact) / math.log(farthest / exact)
            assert bucket in {min(exact + math.floor(rank + slack), count - 1) for slack in (-1e-9, 1e-9)}
    assert found[farthest] == count - 1 or count - exact == 1


@pytest.mark.parametrize(("count", "farthest"), [(1, 8), (8, 4), (2, 1)])
def test_too_few_distances(count, farthest):
    with pytest.raises(ValueError, match="buckets a direction"):
        relative_position_buckets(np.arange(3), count, farthest, bidirectional=False)
    with pytest.raises(ValueError, match="buckets a direction"):
        BucketedPositionBias(3, count, farthest, bidirectional=False)


def test_bias_by_its_definition(rng):
    layer = BucketedPositionBias(3, 11, 19, initializer="normal")
    layer.build()
    queries, keys = rng.integers(0, 50, (2, 5)), rng.integers(0, 50, 7)
    table = numpy(layer.table)
    bias = numpy(layer(queries, keys))
    assert bias.shape == (2, 3, 5, 7)
    buckets = numpy(relative_position_buckets(keys[None, None, :] - queries[:, :, None], 11, 19))
    for index in np.ndindex(2, 5, 7):
        np.testing.assert_array_equal(bias[index[0], :, index[1], index[2]], table[buckets[index]])
    shared = numpy(layer(queries[0], keys))
    assert shared.shape == (1, 3, 5, 7)
    np.testing.assert_array_equal(shared[0], bias[0])
    assert layer.compute_output_shape((2, 5), (7,)) == (2, 3, 5, 7)


def test_gradient_and_compilation(rng):
    layer = BucketedPositionBias(3, 11, 19)
    layer.build()
    positions, weights = np.arange(7), normal(rng, 1, 3, 7, 7)
    buckets = numpy(relative_position_buckets(positions[None] - positions[:, None], 11, 19))

    def total(table):
        by_head = ops.transpose(table)
        return ops.sum(weights * ops.expand_dims(ops.take(by_head, buckets, axis=1), 0))

    (found,) = gradients(total, normal(rng, 11, 3))
    expected = np.stack([(weights[0] * (buckets == i)).sum(axis=(1, 2)) for i in range(11)])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    layer.table.assign(normal(rng, 11, 3))
    np.testing.assert_array_equal(compiled(layer)(positions, positions), layer(positions, positions))


@pytest.mark.parametrize("name", ["query_positions", "key_positions"])
def test_positions_are_integers(name):
    layer = BucketedPositionBias(3)
    layer.build()
    positions = {"query_positions": np.arange(3), "key_positions": np.arange(3)}
    with pytest.raises(ValueError, match=f"`{name}` must be integers"):
        layer(**{**positions, name: np.ones(3, "float32")})
