"""One backend a run, `KERAS_BACKEND` or TensorFlow; the same random numbers for each test however it is run."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest

SEED = 7


@pytest.fixture(autouse=True)
def fixed_seeds() -> None:
    keras.utils.set_random_seed(SEED)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(SEED)


@pytest.fixture(scope="module")
def model(case) -> keras.Model:
    """Of a case of the contract, for reading: a test that changes it makes its own."""
    return case.make_random()
