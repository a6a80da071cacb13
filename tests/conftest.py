"""One backend a run, `KERAS_BACKEND` or TensorFlow; the same random numbers for each test however it is run."""

import gc
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest

ON_JAX = keras.backend.backend() == "jax"
SEED = 7
HARDLY_JAX = (
    "analysis",
    "cli",
    "convert",
    "export",
    "tasks",
    "text",
    "vision",
    "test_benchmarks.py",
    "test_files.py",
    "test_structure.py",
    "training/test_average_precision.py",
    "training/test_pretraining.py",
)
"""Tests of what works through NumPy, files or `tf.data`, with models that other tests run on each backend."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """JAX compiles much for each test: there only what depends on the backend is not among the long ones."""
    tests = Path(__file__).parent
    for item in items if ON_JAX else ():
        if any(item.path.is_relative_to(tests / name) for name in HARDLY_JAX):
            item.add_marker(pytest.mark.slow)


def pytest_configure() -> None:
    """Garbage is looked for less often, and not in what the tests import: a tenth of their time otherwise."""
    gc.set_threshold(100_000)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def fixed_seeds() -> None:
    keras.utils.set_random_seed(SEED)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(SEED)


@pytest.fixture(scope="module")
def model(case) -> keras.Model:
    """Of a case of the contract, for reading: a test that changes it makes its own."""
    if ON_JAX:
        from jax_passes import compile_passes

        return compile_passes(case.make_random())
    return case.make_random()
