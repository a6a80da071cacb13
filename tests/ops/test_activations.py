import math

import numpy as np
import pytest
from helpers import gelu

from keras_tx.ops.activations import ACTIVATIONS, get_activation

X = np.linspace(-6, 6, 241)

DEFINITIONS = {
    "gelu": gelu,
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "linear": lambda x: x,
}


def test_every_activation_is_defined_here():
    assert set(DEFINITIONS) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_equals_definition(name):
    np.testing.assert_allclose(get_activation(name)(X.astype("float32")), DEFINITIONS[name](X), atol=1e-6)


def test_the_two_gelus_differ():
    apart = np.abs(DEFINITIONS["gelu"](X) - DEFINITIONS["gelu_tanh"](X)).max()
    assert 4.6e-4 < apart < 4.8e-4


def test_unknown_name():
    with pytest.raises(ValueError, match=r"`activation` must be one of gelu, .*; got 'swish7'"):
        get_activation("swish7")
