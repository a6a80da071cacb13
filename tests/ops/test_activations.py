import math

import numpy as np
import pytest
from helpers import gelu

from keras_tx.ops.activations import ACTIVATIONS, get_activation

X = np.linspace(-12, 12, 481)
erf = np.vectorize(math.erf)


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


DEFINITIONS = {
    "gelu": gelu,
    "gelu_python": gelu,
    "gelu_10": lambda x: np.clip(gelu(x), -10, 10),
    "gelu_tanh": gelu_tanh,
    "gelu_new": gelu_tanh,
    "gelu_fast": gelu_tanh,
    "gelu_accurate": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "gelu_python_tanh": gelu_tanh,
    "quick_gelu": lambda x: x * sigmoid(1.702 * x),
    "relu": lambda x: np.maximum(x, 0),
    "relu2": lambda x: np.maximum(x, 0) ** 2,
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x < 0, 0.01 * x, x),
    "silu": lambda x: x * sigmoid(x),
    "swish": lambda x: x * sigmoid(x),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "laplace": lambda x: 0.5 * (1 + erf((x - math.sqrt(0.5)) / math.sqrt(0.5 / math.pi))),
    "linear": lambda x: x,
}


def test_every_activation_is_defined_here():
    assert set(DEFINITIONS) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_equals_definition(name):
    np.testing.assert_allclose(get_activation(name)(X.astype("float32")), DEFINITIONS[name](X), atol=1e-6, rtol=1e-6)


def test_the_two_gelus_differ():
    apart = np.abs(DEFINITIONS["gelu"](X) - DEFINITIONS["gelu_tanh"](X)).max()
    assert 4.6e-4 < apart < 4.8e-4


def test_unknown_name():
    with pytest.raises(ValueError, match=r"`activation` must be one of gelu, .*; got 'swish7'"):
        get_activation("swish7")
