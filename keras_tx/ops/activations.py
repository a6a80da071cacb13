"""Activations by name, made of operations that every export format has.

A checkpoint's config names its activation; every name of Transformers' that needs no weights is known here.
"""

from __future__ import annotations

from collections.abc import Callable

from keras import ops


def gelu(x):
    """Exact GELU, x * Phi(x) (Hendrycks & Gimpel 2016), by `erf`: `erfc` has no kernel in LiteRT and ONNX."""
    return 0.5 * x * (1.0 + ops.erf(x * 2**-0.5))


def gelu_tanh(x):
    """GELU's tanh approximation, which GPT and T5 v1.1 were trained with; within 4.7e-4 of `gelu`."""
    return ops.gelu(x, approximate=True)


def quick_gelu(x):
    """GELU's coarser approximation, x * sigmoid(1.702 x) (Hendrycks & Gimpel 2016)."""
    return x * ops.sigmoid(1.702 * x)


def mish(x):
    """Mish, x * tanh(softplus(x)) (Misra 2019)."""
    return x * ops.tanh(ops.softplus(x))


def laplace(x):
    """The Laplace activation of MEGA (Ma et al. 2022)."""
    return 0.5 * (1.0 + ops.erf((x - 0.707107) / (0.282095 * 2**0.5)))


ACTIVATIONS: dict[str, Callable] = {
    "gelu": gelu,
    "gelu_python": gelu,
    "gelu_10": lambda x: ops.clip(gelu(x), -10.0, 10.0),
    "gelu_tanh": gelu_tanh,
    **dict.fromkeys(("gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh", "gelu_python_tanh"), gelu_tanh),
    "quick_gelu": quick_gelu,
    "relu": ops.relu,
    "relu2": lambda x: ops.square(ops.relu(x)),
    "relu6": ops.relu6,
    "leaky_relu": lambda x: ops.leaky_relu(x, negative_slope=0.01),
    "silu": ops.silu,
    "swish": ops.silu,
    "mish": mish,
    "sigmoid": ops.sigmoid,
    "tanh": ops.tanh,
    "laplace": laplace,
    "linear": lambda x: x,
}


def get_activation(name: str) -> Callable:
    """The function of that name.

    Raises:
        ValueError: if no activation has that name.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"`activation` must be one of {', '.join(ACTIVATIONS)}; got {name!r}.")
    return ACTIVATIONS[name]
