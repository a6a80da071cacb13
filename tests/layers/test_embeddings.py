"""Embeddings: look-up, dense gradients under Adam, ids and positions out of range."""

import keras
import numpy as np
import pytest
from helpers import compiled, gradients, normal, numpy
from keras import ops

from keras_tx.layers import PositionalEncoding, PositionEmbedding, RotaryPositionalEmbedding, TokenEmbedding
from keras_tx.layers.core.embeddings import lookup
from keras_tx.ops import sinusoidal
from keras_tx.ops.attention.rotary import rotary

TABLES = [TokenEmbedding, PositionEmbedding]
IDS, TARGETS = np.array([[1, 1, 1, 2, 2, 3]]), np.array([3.0, 2.0, 1.5, 1.5, 3.0, 4.0])


def made(cls, rows: int = 7, dim: int = 5, **options) -> TokenEmbedding | PositionEmbedding:
    layer = cls(rows, dim, **options)
    layer.build()
    return layer


@pytest.mark.parametrize("cls", TABLES)
def test_looks_up_rows(cls, rng):
    layer, ids = made(cls), rng.integers(0, 7, (2, 3))
    np.testing.assert_array_equal(layer(ids), numpy(layer.embeddings)[ids])
    np.testing.assert_array_equal(layer(ids[0].astype("uint8")), numpy(layer.embeddings)[ids[0]])


def test_projects_onto_the_same_table(rng):
    layer, x = made(TokenEmbedding), normal(rng, 2, 3, 5)
    np.testing.assert_allclose(layer.project(x), x @ numpy(layer.embeddings).T, atol=1e-5)
    with pytest.raises(ValueError, match="last axis of `x` must be 5"):
        layer.project(x[..., :4])


def adam(steps: int, rate: float, clipnorm: float | None) -> np.ndarray:
    """A table of ones trained on the mean squared distance of each occurrence to its target, by hand."""
    table, m, v = np.ones((7, 5)), np.zeros((7, 5)), np.zeros((7, 5))
    for step in range(1, steps + 1):
        gradient = np.zeros_like(table)
        np.add.at(gradient, IDS[0], 2 * (table[IDS[0]] - TARGETS[:, None]) / (len(TARGETS) * 5))
        norm = np.linalg.norm(gradient)
        if clipnorm is not None and norm > clipnorm:
            gradient *= clipnorm / norm
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        table -= rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step) * m / (np.sqrt(v) + 1e-7)
    return table


@pytest.mark.parametrize("cls", TABLES)
@pytest.mark.parametrize("clipnorm", [None, 0.05])
def test_adam_sums_the_gradients_of_repeated_ids(cls, clipnorm):
    """Keras's own Embedding gives TensorFlow's Adam unsummed rows: wrong second moments, wrong norms."""
    ids, layer = keras.Input((None,), dtype="int32"), made(cls, initializer="ones")
    model = keras.Model(ids, layer(ids))
    model.compile(keras.optimizers.Adam(0.1, clipnorm=clipnorm), loss="mse")
    targets = np.repeat(TARGETS[None, :, None], 5, axis=-1)
    model.fit(IDS, targets, epochs=3, verbose=0)
    np.testing.assert_allclose(numpy(layer.embeddings), adam(3, 0.1, clipnorm), atol=1e-5)


def test_gradient_of_the_table_is_dense(rng):
    (gradient,) = gradients(lambda table: ops.sum(lookup(table, IDS, "float32")), normal(rng, 7, 5))
    np.testing.assert_array_equal(gradient, np.outer([0, 3, 2, 1, 0, 0, 0], np.ones(5)))


@pytest.mark.parametrize("cls", TABLES)
def test_out_of_range_raises_eagerly_and_is_nan_when_compiled(cls):
    layer = made(cls)
    for bad in (7, -1):
        ids = np.array([[0, bad, 6]])
        with pytest.raises(ValueError, match=r"must lie in \[0, .*\) = \[0, 7\); got values from"):
            layer(ids)
        y = numpy(compiled(layer)(ids))
        assert np.isnan(y[0, 1]).all()
        np.testing.assert_array_equal(y[0, [0, 2]], numpy(layer.embeddings)[[0, 6]])


@pytest.mark.parametrize("cls", TABLES)
def test_errors(cls):
    for arguments in ((0, 5), (7, -1), (7.0, 5)):
        with pytest.raises(ValueError, match="must be a whole number of at least 1"):
            cls(*arguments)
    for ids in (np.array([1.5, 2.0]), np.array([True, False])):
        with pytest.raises(ValueError, match="must be integers"):
            cls(7, 5)(ids)


def test_positional_encoding(rng):
    layer, x = PositionalEncoding(14, max_len=5), normal(rng, 2, 5, 14)
    np.testing.assert_allclose(layer(x), x + numpy(sinusoidal(np.arange(5), 14)), atol=1e-6)
    np.testing.assert_allclose(layer(x, start=3), x + numpy(sinusoidal(np.arange(3, 8), 14)), atol=1e-6)
    np.testing.assert_allclose(layer.get_positional_encoding(3, 2), sinusoidal(np.arange(2, 5), 14), atol=1e-6)
    np.testing.assert_array_equal(layer(x, training=True), layer(x))
    dropped = numpy(PositionalEncoding(14, dropout=0.5)(np.ones((2, 5, 14)), training=True))
    assert 0 < (dropped == 0).sum() < dropped.size
    for shape, message in (((2, 6, 14), "6 is longer"), ((2, 5, 12), "last axis"), ((5, 14), "`x` must be")):
        with pytest.raises(ValueError, match=message):
            layer(np.ones(shape))
    for arguments in ((7,), (0,), (8, 0), (8, 5, 1.5)):
        with pytest.raises(ValueError, match=r"must be|Expected"):
            PositionalEncoding(*arguments)


def test_rotary_positional_embedding(rng):
    layer, x = RotaryPositionalEmbedding(14, max_seq_len=5, rope_theta=100.0), normal(rng, 2, 3, 5, 14)
    for have, want in zip(layer(x), rotary(np.arange(5), 14, 100.0), strict=True):
        np.testing.assert_allclose(have, want, atol=1e-6)
    assert layer(x, seq_len=3)[0].shape == (3, 14)
    assert all(table.shape == (3, 14) for table in layer(keras.Input((3, 5, 14)), seq_len=3))
    for given, options in ((x, {"seq_len": 6}), (np.ones((2, 3, 6, 14)), {})):
        with pytest.raises(ValueError, match="6 is longer than `max_seq_len` = 5"):
            layer(given, **options)
    with pytest.raises(ValueError, match="`dim` must be even"):
        RotaryPositionalEmbedding(7)
