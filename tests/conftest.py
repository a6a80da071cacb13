"""One backend a run, `KERAS_BACKEND` or TensorFlow; the same random numbers for each test however it is run."""

import gc
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

ON_JAX = os.environ["KERAS_BACKEND"] == "jax"
SEED = 7
HARDLY_JAX = (
    "analysis/",
    "cli/",
    "convert/",
    "export/",
    "layers/test_layers.py::test_config",
    "models/test_auto.py",
    "models/test_detection.py::test_the_configs",
    "models/test_hybrid.py::test_all_stages",
    "models/test_llama_parity.py::test_there_and_back",
    "tasks/",
    "test_benchmarks.py",
    "test_contract.py::test_config",
    "test_contract_bad_input.py",
    "test_files.py",
    "test_structure.py",
    "text/",
    "training/test_average_precision.py",
    "training/test_mixtures.py",
    "training/test_pretraining.py",
    "training/test_span_corruption.py",
    "training/test_text_metrics.py",
    "vision/",
)
"""Of what works through NumPy, files, `tf.data` or without numbers, and of models that other tests run everywhere."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """JAX compiles much for each test: there only what depends on the backend is not among the long ones."""
    for item in items if ON_JAX else ():
        if item.nodeid.removeprefix("tests/").startswith(HARDLY_JAX):
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
