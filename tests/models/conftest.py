"""Passes of whole models are compiled on JAX, but where a test is of what is seen in single operations."""

from collections.abc import Iterator

import keras
import pytest


@pytest.fixture(autouse=True)
def passes(request: pytest.FixtureRequest) -> Iterator[None]:
    if keras.backend.backend() != "jax" or request.node.get_closest_marker("eager"):
        yield
        return
    from jax_passes import compiled_passes

    with compiled_passes():
        yield
