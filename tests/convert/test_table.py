"""Rules, both ways."""

import numpy as np
import pytest
from helpers import normal

from keras_tx.convert.table import Rule, linear, norm, prefixed, same, transposed

DIMS = {"D": 5, "V": 7}


@pytest.mark.parametrize(
    ("rule", "shape"),
    [
        (same("w", "V D", "a"), (7, 5)),
        (same("b", "3D", "q", "k", "v"), (15,)),
        (same("w", "D 3D", "q", "k", "v"), (5, 15)),
        (transposed("w", "V D", "a"), (7, 5)),
        (transposed("w", "3D D", "q", "k", "v"), (15, 5)),
        (Rule("conv", ("2", "3", "1", "D"), ("a",), axes=(2, 3, 1, 0)), (2, 3, 1, 5)),
    ],
)
def test_there_and_back(rng, rule, shape):
    assert rule.shape_in(DIMS) == shape
    tensor = normal(rng, *shape)
    weights = rule.to_weights(tensor)
    assert len(weights) == len(rule.weights)
    np.testing.assert_array_equal(rule.to_tensor(weights), tensor)


def test_the_parts_of_a_fused_map_lie_side_by_side(rng):
    tensor = normal(rng, 15, 5)
    query, key, value = transposed("w", "3D D", "q", "k", "v").to_weights(tensor)
    for i, part in enumerate((query, key, value)):
        np.testing.assert_array_equal(part, tensor[5 * i : 5 * i + 5].T)


def test_convolution_kernels_turn(rng):
    tensor = normal(rng, 2, 3, 7, 5)
    (kernel,) = Rule("w", ("2", "3", "V", "D"), ("a",), axes=(2, 3, 1, 0)).to_weights(tensor)
    assert kernel.shape == (7, 5, 3, 2)
    assert kernel[6, 4, 2, 1] == tensor[1, 2, 6, 4]


def test_parts_of_models():
    rules = prefixed("h.3.", "block_3/", [*linear("fc", "V D", "up"), *norm("ln", "D", "norm")])
    assert [(rule.tensor, rule.weights, rule.shape_in(DIMS)) for rule in rules] == [
        ("h.3.fc.weight", ("block_3/up/kernel",), (7, 5)),
        ("h.3.fc.bias", ("block_3/up/bias",), (7,)),
        ("h.3.ln.weight", ("block_3/norm/gamma",), (5,)),
        ("h.3.ln.bias", ("block_3/norm/beta",), (5,)),
    ]
