"""Attention against its definition in NumPy, float64, at sizes whose axes cannot be mistaken for each other."""

import keras
import numpy as np
import pytest
from helpers import attend, gradients, normal, numpy
from keras import ops

from keras_tx.ops import masks
from keras_tx.ops.attention import attention

B, H, K, T, S, D, V = 2, 6, 3, 5, 7, 11, 13


@pytest.fixture
def qkv(rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return normal(rng, B, H, T, D), normal(rng, B, K, S, D), normal(rng, B, K, S, D)


def offset_positions() -> tuple[np.ndarray, np.ndarray]:
    """Queries at the end of the keys."""
    return np.arange(S - T, S), np.arange(S)


VARIANTS = {
    "plain": lambda rng: {},
    "keys hidden": lambda rng: {"mask": np.arange(S)[None, None, None] < np.array([4, S]).reshape(B, 1, 1, 1)},
    "causal mask": lambda rng: {"mask": numpy(masks.causal(*offset_positions()))},
    "window": lambda rng: {"mask": numpy(masks.window(*offset_positions(), 2))},
    "prefix": lambda rng: {"mask": numpy(masks.prefix(*offset_positions(), 3))},
    "segments": lambda rng: {"mask": numpy(masks.segments(np.array([0, 0, 1, 1, 2]), np.array([0, 0, 0, 1, 1, 2, 2])))},
    "mask a head": lambda rng: {"mask": rng.random((B, H, T, S)) < 0.5},
    "nothing seen": lambda rng: {"mask": (np.arange(T) != 2)[:, None] & np.ones((B, 1, 1, S), bool)},
    "bias": lambda rng: {"bias": normal(rng, H, T, S)},
    "bias a row": lambda rng: {"bias": normal(rng, B, 1, 1, S)},
    "bias and mask": lambda rng: {"bias": normal(rng, 1, H, T, S), "mask": rng.random((T, S)) < 0.5},
    "scale": lambda rng: {"scale": 0.7},
    "soft cap": lambda rng: {"scale": 5.0, "soft_cap": 3.0},
    "soft cap, bias, mask": lambda rng: {
        "soft_cap": 2.0,
        "bias": normal(rng, H, T, S),
        "mask": rng.random((T, S)) < 0.5,
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("heads", [H, K, 1], ids=["MHA", "GQA", "MQA"])
@pytest.mark.parametrize("width", [D, V], ids=["equally wide", "wider values"])
def test_equals_definition_with_and_without_weights(variant, heads, width, rng):
    query, key, value = normal(rng, B, H, T, D), normal(rng, B, heads, S, D), normal(rng, B, heads, S, width)
    options = VARIANTS[variant](rng)
    expected, expected_weights = attend(query, key, value, **options)
    output, weights = attention(query, key, value, return_weights=True, **options)
    fast = attention(query, key, value, **options)
    assert output.shape == (B, H, T, width)
    np.testing.assert_allclose(output, expected, atol=2e-6)
    np.testing.assert_allclose(weights, expected_weights, atol=1e-6)
    np.testing.assert_allclose(fast, expected, atol=2e-6)


def test_causal_flag_is_the_causal_mask(rng):
    query, key, value = normal(rng, B, H, S, D), normal(rng, B, K, S, D), normal(rng, B, K, S, D)
    hidden = np.arange(S)[None, None, None] < np.array([4, S]).reshape(B, 1, 1, 1)
    triangle = np.tri(S, dtype=bool)
    for mask, expected in ((None, triangle), (hidden, triangle & hidden)):
        for extra in ({}, {"return_weights": True}):
            output = attention(query, key, value, causal=True, mask=mask, **extra)
            output = output[0] if extra else output
            np.testing.assert_allclose(output, attend(query, key, value, mask=expected)[0], atol=2e-6)


@pytest.mark.parametrize("return_weights", [False, True])
def test_row_that_sees_nothing_is_zero_with_finite_gradients(qkv, return_weights):
    mask = np.ones((B, 1, T, S), bool)
    mask[1, :, 3] = False

    def total(query, key, value):
        output = attention(query, key, value, mask=mask, return_weights=return_weights)
        return ops.sum((output[0] if return_weights else output) ** 2)

    output, weights = attention(*qkv, mask=mask, return_weights=True)
    fast = attention(*qkv, mask=mask)
    for x in (output, weights, fast):
        assert not numpy(x)[1, :, 3].any()
        assert np.abs(numpy(x)).sum(axis=-1).astype(bool).sum() == B * H * T - H
    for gradient in gradients(total, *qkv):
        assert np.isfinite(gradient).all() and gradient.any()
    assert not gradients(total, *qkv)[0][1, :, 3].any()


def test_gradients_of_both_paths_agree(qkv, rng):
    mask, bias = rng.random((B, 1, T, S)) < 0.7, normal(rng, H, T, S)

    def total(return_weights):
        def function(query, key, value):
            output = attention(query, key, value, mask=mask, bias=bias, return_weights=return_weights)
            return ops.sum(ops.sin(output[0] if return_weights else output))

        return function

    for fast, explicit in zip(gradients(total(False), *qkv), gradients(total(True), *qkv), strict=True):
        np.testing.assert_allclose(fast, explicit, atol=2e-6)


def test_keys_and_values_grouped_as_repeated(qkv):
    """Query head h belongs to key/value head h // (H / K), as in Transformers, not h % K."""
    query, key, value = qkv
    repeated = (np.repeat(x, H // K, axis=1) for x in (key, value))
    np.testing.assert_allclose(attention(*qkv), attention(query, *repeated), atol=2e-6)


def test_large_scores_do_not_overflow(qkv):
    query, key, value = qkv
    output, weights = attention(1e3 * query, 1e3 * key, value, return_weights=True)
    assert np.isfinite(numpy(output)).all()
    np.testing.assert_allclose(numpy(weights).sum(axis=-1), 1.0, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_in_and_out_and_softmax_in_float32(qkv, dtype):
    half = [ops.cast(x, dtype) for x in qkv]
    output, weights = attention(*half, return_weights=True)
    assert keras.backend.standardize_dtype(weights.dtype) == "float32"
    np.testing.assert_allclose(numpy(weights).sum(axis=-1), 1.0, atol=1e-6)
    for x in (output, attention(*half)):
        assert keras.backend.standardize_dtype(x.dtype) == dtype
        np.testing.assert_allclose(numpy(ops.cast(x, "float32")), attend(*qkv)[0], atol=5e-2)


def test_dropout_keeps_the_mean_and_returns_weights_undropped(rng):
    query, key, value = (normal(rng, 1, 1, 2, 3) for _ in range(3))
    seed = keras.random.SeedGenerator(3)
    query = np.repeat(query, 20011, axis=0)
    key, value = (np.repeat(x, 20011, axis=0) for x in (key, value))
    expected, expected_weights = attend(query, key, value)
    output, weights = attention(query, key, value, dropout=0.3, seed=seed, return_weights=True)
    fast = attention(query, key, value, dropout=0.3, seed=seed)
    np.testing.assert_allclose(weights, expected_weights, atol=1e-6)
    for x in (numpy(output), numpy(fast)):
        np.testing.assert_allclose(x.mean(axis=0), expected[0], atol=0.03)
        both_dropped = (x == 0).all(axis=-1).mean()
        assert abs(both_dropped - 0.3**2) < 0.01
    assert not np.array_equal(numpy(output), numpy(fast))


def test_no_dropout_without_a_seed(qkv):
    np.testing.assert_array_equal(attention(*qkv, dropout=0.5), attention(*qkv))


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        (((B, T, D), (B, K, S, D), (B, K, S, D)), {}, "`query` must be"),
        (((B, H, T, D), (B, S, D), (B, K, S, D)), {}, "`key` must be"),
        (((B, H, T, D), (B, K, S, D), (B, K, 1, S, D)), {}, "`value` must be"),
        (((B, H, T, D), (B, 4, S, D), (B, 4, S, D)), {}, "heads"),
        (((B, H, T, D), (B, K, S, D), (B, H, S, D)), {}, "heads"),
        (((B, H, T, D), (B, K, S, V), (B, K, S, D)), {}, "equally wide"),
        (((B, H, T, D), (B, K, S, D), (B, K, T, D)), {}, "equally long"),
        (((B, H, T, D), (B, K, S, D), (B, K, S, D)), {"causal": True}, "as many queries as keys"),
        (((B, H, T, D), (B, K, S, D), (B, K, S, D)), {"mask": np.ones((T, S), "int32")}, "boolean"),
        (((B, H, T, D), (B, K, S, D), (B, K, S, D)), {"mask": np.ones((S, T), bool)}, "`mask`.*broadcast"),
        (((B, H, T, D), (B, K, S, D), (B, K, S, D)), {"bias": np.ones((K, T, S))}, "`bias`.*broadcast"),
    ],
)
def test_errors(shapes, options, message):
    with pytest.raises(ValueError, match=message):
        attention(*(np.ones(shape, "float32") for shape in shapes), **options)
