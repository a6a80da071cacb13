"""Activations by name, made of operations that every export format has."""

from __future__ import annotations

from collections.abc import Callable

from keras import ops


def gelu(x):
    """Exact GELU, x * Phi(x) (Hendrycks & Gimpel 2016), by `erf`: `erfc` has no kernel in LiteRT and ONNX."""
    return 0.5 * x * (1.0 + ops.erf(x * 2**-0.5))


def gelu_tanh(x):
    """GELU's tanh approximation, which GPT and T5 v1.1 were trained with; within 4.7e-4 of `gelu`."""
    return ops.gelu(x, approximate=True)


ACTIVATIONS: dict[str, Callable] = {
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "relu": ops.relu,
    "silu": ops.silu,
    "tanh": ops.tanh,
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
