"""The assignment problem against SciPy's exact solver, in all its forms, and by trying every permutation."""

from itertools import permutations

import numpy as np
import pytest
from helpers import compiled, numpy
from keras import ops
from scipy.optimize import linear_sum_assignment as solve

from keras_tx.ops.image.matching import linear_sum_assignment


def totals(cost: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return np.take_along_axis(cost, columns[..., None], axis=2)[..., 0].sum(axis=1)


def assert_least(cost: np.ndarray, columns, atol: float = 1e-5) -> None:
    """A column of its own for each row, and as cheap as SciPy's."""
    columns = numpy(columns)
    assert columns.dtype == np.int32 and columns.shape == cost.shape[:2]
    assert all(len(set(row)) == len(row) for row in columns)
    best = np.array([of_image[solve(of_image)].sum() for of_image in cost])
    np.testing.assert_allclose(totals(cost, columns), best, atol=atol)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 5), (4, 11), (13, 17), (19, 19)])
def test_random_costs(rng, shape):
    """Under XLA. Of real numbers, one solution is the best; of small whole numbers, many tie."""
    assign = compiled(linear_sum_assignment)
    cost = rng.normal(size=(503, *shape)).astype("float32")
    found = numpy(assign(ops.convert_to_tensor(cost)))
    assert_least(cost, found)
    np.testing.assert_array_equal(found, [solve(of_image)[1] for of_image in cost])
    for ties in (rng.integers(0, 4, cost.shape).astype("float32"), 0 * cost):
        assert_least(ties, assign(ops.convert_to_tensor(ties)))


def test_every_permutation(rng):
    cost = rng.normal(size=(31, 4, 4)).astype("float32")
    best = [min(of_image[range(4), p].sum() for p in permutations(range(4))) for of_image in cost]
    np.testing.assert_allclose(totals(cost, numpy(linear_sum_assignment(cost))), best, atol=1e-5)


def test_as_many_as_a_detector_has(rng):
    cost = rng.uniform(0, 20, (2, 67, 101)).astype("float32")
    assert_least(cost, compiled(linear_sum_assignment)(ops.convert_to_tensor(cost)), atol=1e-3)


def test_costs_far_from_one_another(rng):
    cost = (10.0 ** rng.uniform(-3, 3, (53, 7, 11))).astype("float32")
    assert_least(cost, linear_sum_assignment(cost), atol=1e-2)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_is_the_last_resort(rng, bad):
    cost = rng.normal(size=(211, 5, 7)).astype("float32")
    forbidden = rng.random(cost.shape) < 0.4
    found = linear_sum_assignment(np.where(forbidden, bad, cost).astype("float32"))
    assert_least(np.where(forbidden, 1e4, cost), found, atol=1e-2)
    assert sorted(numpy(linear_sum_assignment(np.full((1, 3, 3), bad, "float32")))[0]) == [0, 1, 2]


def test_rows_that_cost_nothing_take_what_is_left(rng):
    """As the slots without an object do."""
    cost = rng.normal(size=(101, 7, 7)).astype("float32")
    cost[:, 4:] = 0
    found = numpy(linear_sum_assignment(cost))
    best = [of_image[solve(of_image[:4])].sum() for of_image in cost]
    np.testing.assert_allclose(totals(cost[:, :4], found[:, :4]), best, atol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match=r"more rows than columns; got shape \(2, 5, 3\): transpose it"):
        linear_sum_assignment(np.zeros((2, 5, 3), "float32"))
    with pytest.raises(ValueError, match=r"`cost` must be \(batch, rows, columns\); got shape \(5, 3\)"):
        linear_sum_assignment(np.zeros((5, 3), "float32"))
