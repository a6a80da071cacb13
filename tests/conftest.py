"""One backend a run, `KERAS_BACKEND` or TensorFlow; the same random numbers for each test however it is run."""

import gc
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

ON_JAX = os.environ["KERAS_BACKEND"] == "jax"
SEED = 7
ANY_BACKEND = {"analysis", "cli", "convert", "export", "tasks", "text", "vision"}
"""Folders of tests of what works through NumPy, files or `tf.data`, on models that other tests run on each backend."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """JAX compiles much for each test: there only what depends on the backend is not among the long ones."""
    for item in items if ON_JAX else ():
        if item.path.parent.name in ANY_BACKEND or item.get_closest_marker("any_backend"):
            item.add_marker(pytest.mark.slow)


def pytest_configure() -> None:
    """Garbage is looked for less often, and not in what the tests import: a twentieth of their time otherwise."""
    gc.set_threshold(100_000)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def fixed_seeds() -> None:
    import keras  # here, so that the process that only hands out the tests starts without it

    keras.utils.set_random_seed(SEED)


@pytest.fixture(autouse=True)
def dropped_garbage(request: pytest.FixtureRequest):
    """Models and graphs hold each other: without this the long tests' processes grow by gigabytes."""
    yield
    if request.node.get_closest_marker("slow"):
        gc.collect()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(SEED)


@pytest.fixture(autouse=True, scope="module")
def dropped_programs():
    """JAX keeps what it compiled: all tests' programs together are more than a process may map into its memory."""
    yield
    if ON_JAX:
        import jax

        jax.clear_caches()
        gc.collect()


@pytest.fixture(scope="module")
def model(case):
    """Of a case of the contract, for reading: a test that changes it makes its own."""
    if ON_JAX:
        from jax_passes import compiled_passes

        with compiled_passes(case.make_random()) as model:
            yield model
    else:
        yield case.make_random()
