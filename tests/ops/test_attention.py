"""Attention against its definition in NumPy, float64, at sizes whose axes cannot be mistaken for each other."""

import keras
import numpy as np
import pytest
from helpers import attend, gradients, normal, numpy
from keras import ops

from keras_tx.ops.attention import masks
from keras_tx.ops.attention.softmax import attention

B, H, K, T, S, D, V = 2, 6, 3, 5, 7, 11, 13


@pytest.fixture(autouse=True)
def on_gpu(monkeypatch):
    """On JAX what is asked for without weights takes the fused path, which CPUs run but do not take themselves."""
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["gpu:0"])


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


@pytest.mark.parametrize("return_weights", [False, True])
def test_row_that_is_blind_by_mask_and_causality_together(return_weights, rng):
    query, key, value = normal(rng, B, H, S, D), normal(rng, B, K, S, D), normal(rng, B, K, S, D)
    mask = np.ones((B, 1, S, S), bool)
    mask[1, :, 2, :3] = False  # what is left lies ahead
    output = attention(query, key, value, mask=mask, causal=True, return_weights=return_weights)
    output = output[0] if return_weights else output
    expected, _ = attend(query, key, value, mask=mask & np.tri(S, dtype=bool))
    assert not expected[1, :, 2].any()
    np.testing.assert_allclose(output, expected, atol=2e-6)


def test_a_sink_is_a_key_with_that_score_and_no_value(qkv, rng):
    query, key, value = qkv
    sinks, mask = normal(rng, H), rng.random((B, 1, T, S)) < 0.6
    mask[1, :, 3] = False
    column = np.ones((B, 1, T, 1), bool)
    wider = [np.concatenate([x, np.zeros((B, K, 1, D), "float32")], axis=2) for x in (key, value)]
    bias = np.concatenate([np.zeros((1, H, T, S)), np.broadcast_to(sinks[:, None, None], (1, H, T, 1))], axis=-1)
    expected, weights = attend(query, *wider, mask=np.concatenate([mask, column], axis=-1), bias=bias)
    output, found = attention(query, key, value, mask=mask, sinks=sinks, return_weights=True)
    np.testing.assert_allclose(output, expected, atol=2e-6)
    np.testing.assert_allclose(found, weights[..., :S], atol=2e-6)
    for options in ({}, {"chunk_size": 3}):
        np.testing.assert_allclose(attention(*qkv, mask=mask, sinks=sinks, **options), expected, atol=2e-6)
    large = attention(*qkv, mask=mask, sinks=1e4 * np.ones(H, "float32"))
    assert np.isfinite(numpy(large)).all()


def test_value_bias_is_of_the_weights_that_mix(qkv):
    """Of the dropped ones, where some are dropped."""
    output, weights = attention(*qkv, value_bias=lambda weights: weights[..., :1] * 3, return_weights=True)
    np.testing.assert_allclose(output, numpy(attention(*qkv)) + 3 * numpy(weights)[..., :1], atol=2e-6)
    seen = []
    attention(*qkv, dropout=0.5, seed=keras.random.SeedGenerator(3), value_bias=lambda w: seen.append(w) or w[..., :1])
    assert (numpy(seen[0]) == 0).mean() == pytest.approx(0.5, abs=0.15)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="TensorFlow has no fused path")
@pytest.mark.parametrize(
    ("device", "options", "taken"),
    [
        ("cpu", {}, []),
        ("gpu", {}, [None]),
        ("gpu", {"mask": np.ones((T, S), bool), "bias": np.ones((T, S), "float32")}, [None]),
        ("gpu", {"soft_cap": 2.0}, []),
        ("gpu", {"sinks": np.ones(H, "float32")}, []),
        ("gpu", {"return_weights": True}, []),
        ("gpu", {"value_bias": lambda weights: weights[..., :1]}, []),
        ("tpu", {}, [None]),
        ("tpu", {"mask": np.ones((T, S), bool)}, [False]),
        ("tpu", {"bias": np.ones((T, S), "float32")}, [False]),
    ],
)
def test_which_path_is_taken(device, options, taken, qkv, monkeypatch):
    """And with which choice of a kernel: Keras's for TPUs takes neither a sample's own mask nor a bias."""
    seen, own = [], ops.dot_product_attention
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: [f"{device}:0"])

    def record(*args, flash_attention, **rest):
        seen.append(flash_attention)
        return own(*args, **rest)

    monkeypatch.setattr(ops, "dot_product_attention", record)
    attention(*qkv, **options)
    assert seen == taken


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
        (((B, H, T, D), (B, K, S, D), (B, K, S, D)), {"soft_cap": 0.0}, "`soft_cap` must be above 0.*got 0.0"),
        (((B, H, T, D), (B, K, S, D), (B, K, S, D)), {"sinks": np.ones(K)}, "`sinks` must have shape"),
        (((B, H, T, D), (B, K, S, D), (B, K, S, D)), {"value_bias": len, "chunk_size": 2}, "`value_bias` needs"),
        (((B, H, T, D), (B, K, S, D), (B, K, S, D)), {"causal": True}, "as many queries as keys"),
        (((B, H, T, D), (B, K, S, D), (B, K, S, D)), {"mask": np.ones((T, S), "int32")}, "boolean"),
        (((B, H, T, D), (B, K, S, D), (B, K, S, D)), {"mask": np.ones((S, T), bool)}, "`mask`.*broadcast"),
        (((B, H, T, D), (B, K, S, D), (B, K, S, D)), {"bias": np.ones((K, T, S))}, "`bias`.*broadcast"),
    ],
)
def test_errors(shapes, options, message):
    with pytest.raises(ValueError, match=message):
        attention(*(np.ones(shape, "float32") for shape in shapes), **options)
