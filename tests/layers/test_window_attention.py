"""Attention in windows by its definition, and its position biases."""

import math

import keras
import numpy as np
import pytest
from helpers import attend, dense, gradients, normal, numpy, randomize
from keras import ops

from keras_tx.layers import WindowAttention
from keras_tx.layers.image.window_bias import ContinuousPositionBias, RelativePositionBias

WINDOW, DIM, HEADS, COUNT = (2, 3), 15, 5, 7
TOKENS = 6


def made(rng, **options) -> WindowAttention:
    layer = WindowAttention(DIM, HEADS, WINDOW, **options)
    layer.build()
    return randomize(layer, rng)


def offset(query: int, key: int) -> tuple[int, int]:
    return query // 3 - key // 3, query % 3 - key % 3


def heads(x: np.ndarray) -> np.ndarray:
    return x.reshape(COUNT, TOKENS, HEADS, DIM // HEADS).swapaxes(1, 2)


def by_definition(layer, x, bias, mask=None) -> tuple[np.ndarray, np.ndarray]:
    query, key, value = (heads(dense(project, x)) for project in (layer.query, layer.key, layer.value))
    scale = None
    if layer.scores == "cosine":
        query, key = (y / np.linalg.norm(y, axis=-1, keepdims=True) for y in (query, key))
        query, scale = query * np.minimum(np.exp(numpy(layer.logit_scale)), 100), 1.0
    output, weights = attend(query, key, value, bias=bias, scale=scale, mask=mask)
    return dense(layer.output_projection, output.swapaxes(1, 2).reshape(x.shape)), weights


def table_bias(table: np.ndarray) -> np.ndarray:
    rows = table.reshape(3, 5, HEADS)
    pairs = [[rows[down + 1, across + 2] for down, across in map(offset, [q] * 6, range(6))] for q in range(6)]
    return np.array(pairs).transpose(2, 0, 1)


@pytest.mark.parametrize("qkv_bias", [True, False])
def test_dot_products_and_a_table(rng, qkv_bias):
    layer = made(rng, qkv_bias=qkv_bias)
    assert layer.output_projection.use_bias
    x, mask = normal(rng, COUNT, TOKENS, DIM), rng.random((COUNT, 1, TOKENS, TOKENS)) < 0.7
    expected, weights = by_definition(layer, x, table_bias(numpy(layer.bias.table)), mask)
    output, found = layer(x, mask, return_attention=True)
    np.testing.assert_allclose(numpy(output), expected, atol=1e-5)
    np.testing.assert_allclose(numpy(found), weights, atol=1e-5)
    np.testing.assert_allclose(numpy(layer(x, mask)), expected, atol=1e-5)


@pytest.mark.parametrize("reference", [None, (5, 4)])
def test_cosines_and_a_network(rng, reference):
    """One head's scale is past the limit of 100."""
    layer = made(rng, scores="cosine", position_bias="continuous", pretrained_window_size=reference)
    assert layer.key.bias is None
    layer.logit_scale.assign(np.array([0.5, 1.0, 2.0, math.log(100) + 1, math.log(10)]).reshape(HEADS, 1, 1))
    x = normal(rng, COUNT, TOKENS, DIM)
    up, down = reference or WINDOW
    table = np.array([(8 * i / (up - 1), 8 * j / (down - 1)) for i in (-1, 0, 1) for j in range(-2, 3)])
    table = np.sign(table) * np.log2(1 + np.abs(table)) / 3
    numbers = dense(layer.bias.down, np.maximum(dense(layer.bias.up, table), 0))
    bias = table_bias(16 / (1 + np.exp(-numbers)))
    np.testing.assert_allclose(numpy(layer.bias.pairs())[0], bias, atol=1e-4)
    expected, weights = by_definition(layer, x, bias)
    output, found = layer(x, return_attention=True)
    np.testing.assert_allclose(numpy(output), expected, atol=1e-4)
    np.testing.assert_allclose(numpy(found), weights, atol=1e-4)


def test_cosines_of_zeros_have_finite_gradients(rng):
    """Padding without a bias is a vector of zeros, which has no direction."""
    layer = made(rng, scores="cosine", position_bias="continuous", qkv_bias=False)
    x = normal(rng, COUNT, TOKENS, DIM)
    x[:, 4:] = 0.0
    (gradient,) = gradients(lambda y: ops.sum(ops.square(layer(y))), x)
    assert np.isfinite(gradient).all() and gradient[:, :4].any()


def test_dropout_is_of_the_weights(rng):
    layer = made(rng, dropout=0.5)
    x = normal(rng, COUNT, TOKENS, DIM)
    assert not np.allclose(numpy(layer(x, training=True)), numpy(layer(x)))
    np.testing.assert_array_equal(numpy(layer(x, training=False)), numpy(layer(x)))


@pytest.mark.parametrize("options", [{}, {"scores": "cosine", "position_bias": "continuous"}])
def test_config_round_trip(rng, options):
    layer = made(rng, **options)
    copy = WindowAttention.from_config(layer.get_config())
    copy.build()
    assert [(w.path.split("/", 1)[1], w.shape) for w in copy.weights] == [
        (w.path.split("/", 1)[1], w.shape) for w in layer.weights
    ]


def test_mixed_precision(rng):
    layer = WindowAttention(DIM, HEADS, WINDOW, scores="cosine", position_bias="continuous", dtype="mixed_bfloat16")
    layer.build()
    x = normal(rng, COUNT, TOKENS, DIM)
    exact = WindowAttention(DIM, HEADS, WINDOW, scores="cosine", position_bias="continuous")
    exact.build()
    exact.set_weights(layer.get_weights())
    found = layer(x)
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    np.testing.assert_allclose(numpy(ops.cast(found, "float32")), numpy(exact(x)), atol=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 4}, "`dim` must be a multiple of `num_heads`"),
        ({"dim": 0}, "`dim` must be a whole number"),
        ({"window_size": 7}, "`window_size` must be a pair"),
        ({"window_size": (0, 3)}, "`window_size` must be a whole number of at least 1"),
        ({"scores": "l2"}, '`scores` must be "dot" or "cosine"'),
        ({"position_bias": "none"}, '`position_bias` must be "table" or "continuous"'),
        ({"dropout": 1.0}, "`dropout` must be a rate"),
        ({"position_bias": "continuous", "pretrained_window_size": 3}, "`pretrained_window_size` must be a pair"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        WindowAttention(**{"dim": DIM, "num_heads": HEADS, "window_size": WINDOW, **options})


def test_bad_windows(rng):
    layer = made(rng)
    for shape in ((COUNT, TOKENS + 1, DIM), (COUNT, TOKENS, DIM + 1), (COUNT, TOKENS)):
        with pytest.raises(ValueError, match=r"`x` must have shape \(None, 6, 15\)"):
            layer(normal(rng, *shape))


def test_biases_check_their_sizes():
    with pytest.raises(ValueError, match="`num_heads`"):
        RelativePositionBias(WINDOW, 0)
    with pytest.raises(ValueError, match="`width`"):
        ContinuousPositionBias(WINDOW, HEADS, width=0)
