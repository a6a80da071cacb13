"""The whole state of training goes to a file and back: weights, seeds, optimizer."""

import keras
import numpy as np
import pytest
from helpers import numpy

from keras_tx.training import restore_state, save_state

X = np.random.default_rng(1).normal(size=(8, 6)).astype("float32")
Y = X[:, :1]


def compiled_model(width: int = 4, optimizer: str = "adam") -> keras.Model:
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(width), keras.layers.Dropout(0.5)])
    model.add(keras.layers.Dense(1))
    model.compile(optimizer, "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def state(model: keras.Model) -> list[np.ndarray]:
    return [numpy(variable) for variable in (*model.weights, *model.optimizer.variables, *model.layers[1].variables)]


def train(model: keras.Model, steps: int) -> None:
    for _ in range(steps):
        model.train_on_batch(X, Y)


def test_training_goes_on_to_the_same_bits_in_a_process_where_names_have_shifted(tmp_path):
    model = compiled_model()
    train(model, 3)
    assert save_state(tmp_path / "state", model) == 3
    train(model, 3)
    again = compiled_model()  # Keras numbers its layers on
    assert again.layers[0].name != model.layers[0].name
    assert restore_state(tmp_path / "state", again) == 3
    train(again, 3)
    for got, want in zip(state(again), state(model), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.slow
def test_the_seeds_of_dropout_are_part_of_it(tmp_path):
    model = compiled_model()
    train(model, 2)
    save_state(tmp_path / "state", model)
    first = numpy(model(X, training=True))
    assert not np.array_equal(numpy(model(X, training=True)), first)
    restore_state(tmp_path / "state", model)
    np.testing.assert_array_equal(numpy(model(X, training=True)), first)


@pytest.mark.parametrize(
    ("other", "message"),
    [({"width": 5}, r"it has \(6, 4\) for model/0000, not \(6, 5\)"), ({"optimizer": "sgd"}, "it has .*, not nothing")],
)
def test_the_state_of_another_model_changes_nothing(tmp_path, other, message):
    save_state(tmp_path / "state", compiled_model())
    model = compiled_model(**other)
    before = state(model)
    with pytest.raises(ValueError, match=f"is of another model or optimizer: {message}"):
        restore_state(tmp_path / "state", model)
    for got, want in zip(state(model), before, strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_a_cut_file_changes_nothing(tmp_path, kept):
    model = compiled_model()
    save_state(tmp_path / "state", model)
    (tmp_path / "state").write_bytes((tmp_path / "state").read_bytes()[:kept])
    before = state(model)
    with pytest.raises(ValueError, match="state is not a training state"):
        restore_state(tmp_path / "state", model)
    for got, want in zip(state(model), before, strict=True):
        np.testing.assert_array_equal(got, want)
