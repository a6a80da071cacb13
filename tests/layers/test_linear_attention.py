"""Linear attention and FAVOR+ against their papers: outputs, gradients, decoding, and how near to the softmax."""

import itertools
from functools import partial

import keras
import numpy as np
import pytest
from attention_helpers import decoded, output, project
from helpers import assert_layer_is, normal, numpy, randomize, softmax

from keras_tx.layers import LinearAttention
from keras_tx.ops.attention.linear import linear_attention, orthogonal_frequencies, softmax_features

B, T, D, H, K, W, F = 2, 67, 14, 6, 3, 5, 11
"""Batch, positions (more than a causal chunk), width, heads, key/value heads, width of a head, features."""

VARIANTS = {"elu": {}, "favor": {"feature_map": "favor", "num_features": F, "seed": 3}}
both = pytest.mark.parametrize("name", VARIANTS)


def make(name: str, rng: np.random.Generator, **options) -> LinearAttention:
    layer = LinearAttention(D, H, K, head_dim=W, **VARIANTS[name], **options)
    layer.build()
    return randomize(layer, rng)


def padding(rng: np.random.Generator) -> np.ndarray:
    """A text without any token, and one padded on both sides."""
    mask = rng.random((B, T)) < 0.8
    mask[0] = False
    mask[1, :2] = mask[1, -3:] = False
    return mask


def definition(w, x, *, mask, causal, frequencies=None):
    """Katharopoulos et al. 2020, equations 5, 7 and 9; with frequencies, Choromanski et al. 2021, lemma 1."""
    import jax.numpy as jnp

    query, key, value = (project(w, name, x, H if name == "query" else K) for name in ("query", "key", "value"))
    key, value = (y.repeat(H // K, axis=1) for y in (key, value))

    def features(y):
        if frequencies is None:
            return jnp.where(y > 0, y + 1, jnp.exp(jnp.minimum(y, 0)))
        y = y / W**0.25
        return jnp.exp(y @ frequencies - (y**2).sum(axis=-1, keepdims=True) / 2) / F**0.5

    products = features(query) @ features(key).swapaxes(2, 3) * mask[:, None, None]
    products = jnp.tril(products) if causal else products
    total = products.sum(axis=-1, keepdims=True)
    return output(w, products / jnp.where(total == 0, 1.0, total) @ value)


@both
@pytest.mark.parametrize("causal", [False, True])
def test_equals_definition_and_its_gradients(name, causal, rng):
    layer, x, mask = make(name, rng, causal=causal), normal(rng, B, T, D), padding(rng)
    frequencies = numpy(layer.frequencies).astype("float64") if name == "favor" else None
    assert_layer_is(
        layer, partial(definition, mask=mask, causal=causal, frequencies=frequencies), x, attention_mask=mask
    )


@both
@pytest.mark.parametrize("causal", [False, True])
def test_the_map_is_what_mixes_the_values(name, causal, rng):
    layer, x, mask = make(name, rng, causal=causal), normal(rng, B, T, D), padding(rng)
    with_map, weights = layer(x, attention_mask=mask, return_attention=True)
    np.testing.assert_allclose(with_map, layer(x, attention_mask=mask), atol=1e-6)
    sums = numpy(weights).sum(axis=-1)
    seen = np.cumsum(mask, axis=1) > 0 if causal else mask.any(axis=1, keepdims=True)
    np.testing.assert_allclose(sums, np.broadcast_to(seen[:, None], sums.shape), atol=1e-5)
    assert not numpy(weights)[np.broadcast_to(~mask[:, None, None], weights.shape)].any()


@both
def test_decoding_from_the_sum_equals_the_full_pass(name, rng):
    layer, x = make(name, rng, causal=True), normal(rng, B, T, D)
    mask = np.ones((B, T + 4), bool)
    mask[1, :3] = False
    full = layer(x, attention_mask=mask[:, :T])
    np.testing.assert_allclose(decoded(layer, x, (60, 1, 1, 5), mask), full, atol=5e-5)
    assert layer.init_cache(B).sums.shape == (B, K, F if name == "favor" else W, W + 1)


def test_chunks_change_the_speed_alone(rng):
    query, key, value = (np.abs(normal(rng, B, n, 13, W)) for n in (H, K, K))
    whole, state = linear_attention(query, key, value, causal=True)
    for size in (1, 4, 13):
        found, other = linear_attention(query, key, value, causal=True, chunk_size=size)
        np.testing.assert_allclose(found, whole, atol=1e-5)
        np.testing.assert_allclose(other.sums, state.sums, rtol=1e-5)


# === FAVOR+ ===


def test_favor_is_unbiased_and_within_its_bound(rng):
    """Lemma 2 bounds the mean squared error of m features; orthogonal ones are better still (theorem 2)."""
    count, draws = 10, 1000
    x, y = 0.25 * rng.normal(size=(2, 9, W))
    exact = np.exp((x * y).sum(axis=-1))
    spread = np.exp(((x + y) ** 2).sum(axis=-1))
    bound = exact**2 * (spread - 1) / count
    frequencies = np.concatenate([orthogonal_frequencies(W, count, seed) for seed in range(draws)], axis=1)
    products = numpy(softmax_features(x.astype("float32"), frequencies, 1.0))
    products = products * numpy(softmax_features(y.astype("float32"), frequencies, 1.0)) * draws
    estimates = products.reshape(-1, draws, count).sum(axis=-1).T
    assert (np.abs(estimates.mean(axis=0) - exact) < 4 * np.sqrt(bound / draws)).all()
    assert (((estimates - exact) ** 2).mean(axis=0) < 1.2 * bound).all()


def test_favor_converges_to_the_softmax(rng):
    query, key = 0.6 * normal(rng, 1, 1, 9, W), 0.6 * normal(rng, 1, 1, 7, W)
    value = np.eye(7, dtype="float32")[None, None]
    exact = softmax(query @ key.swapaxes(2, 3) / W**0.5)
    errors = []
    for count in (16, 256, 4096, 65536):
        frequencies = orthogonal_frequencies(W, count, 0)
        features = [softmax_features(x, frequencies, stabilize=x is query) for x in (query, key)]
        errors.append(np.abs(numpy(linear_attention(*features, value)[0]) - exact).mean())
    assert all(later < earlier / 2 for earlier, later in itertools.pairwise(errors)), errors
    assert errors[-1] < 2e-3


def test_frequencies_are_orthogonal_normal_and_the_same_for_a_seed():
    found = orthogonal_frequencies(W, 2 * W + 1, seed=5)
    assert found.shape == (W, 2 * W + 1)
    products = found[:, :W].T @ found[:, :W]
    np.testing.assert_allclose(products, np.diag(np.diag(products)), atol=1e-5)
    np.testing.assert_array_equal(found, orthogonal_frequencies(W, 2 * W + 1, seed=5))
    many = orthogonal_frequencies(W, 20000, seed=1)
    assert abs(many.mean()) < 0.02 and abs(many.std() - 1) < 0.02


def test_large_queries_do_not_overflow(rng):
    layer = make("favor", rng)
    assert np.isfinite(numpy(layer(30 * normal(rng, B, T, D)))).all()


def test_features_are_redrawn(rng):
    layer, x = make("favor", rng), normal(rng, B, T, D)
    first, drawn = numpy(layer(x)), numpy(layer.frequencies)
    layer.redraw_features()
    assert not np.allclose(layer(x), first, atol=1e-3)
    layer.redraw_features(3)
    np.testing.assert_array_equal(layer.frequencies, drawn)
    assert LinearAttention(D, 2, feature_map="favor").build() is None


# === Shapes, precision, errors ===


@both
def test_free_batch_and_length_in_mixed_precision(name, rng):
    x = keras.Input((None, D))
    options = {"head_dim": W, "causal": True, **VARIANTS[name]}
    layer, exact = LinearAttention(D, H, dtype="mixed_bfloat16", **options), LinearAttention(D, H, **options)
    model = keras.Model(x, layer(x))
    exact.build()
    exact.set_weights(layer.get_weights())
    for shape in ((2, 41), (3, 3)):
        given = normal(rng, *shape, D)
        assert np.abs(model.predict(given, verbose=0).astype("float32") - numpy(exact(given))).max() < 0.03


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"feature_map": "relu"}, '`feature_map` must be "elu" or "favor"; got \'relu\''),
        ({"num_features": 3}, "`num_features` has a meaning with"),
        ({"rope_theta": 1e4, "head_dim": 4}, "`rope_theta` has a meaning with"),
        ({"feature_map": "favor", "num_features": 0}, "`num_features` must be .*; got 0"),
        ({"feature_map": "favor", "rope_theta": 1e4, "head_dim": 5}, "have one too many"),
        ({"num_kv_heads": 4}, "num_kv_heads=4"),
        ({"dropout": 0.1}, "`dropout` has no meaning in LinearAttention; got 0.1"),
    ],
)
def test_errors_at_construction(options, message):
    with pytest.raises(ValueError, match=message):
        LinearAttention(18, 6, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention_mask": np.ones((B, T + 1), bool)}, "`attention_mask` must have shape"),
        ({"attention_mask": np.ones((B, T, T), bool)}, "must be .batch, keys."),
        ({"bias": np.ones((T, T), "float32")}, "`bias` has no meaning"),
        ({"context": np.ones((B, T, D), "float32")}, "`context` is for cross attention"),
    ],
)
def test_errors_at_call(options, message):
    with pytest.raises(ValueError, match=message):
        LinearAttention(D, 2)(np.ones((B, T, D), "float32"), **options)


def test_errors_of_maps_and_features():
    layer = LinearAttention(D, 2)
    with pytest.raises(ValueError, match="no map of a `cache`"):
        layer(np.ones((B, T, D), "float32"), cache=layer.init_cache(B), return_attention=True)
    with pytest.raises(ValueError, match="a LinearState keeps no slot for each position, which `segments`"):
        layer(np.ones((B, T, D), "float32"), cache=layer.init_cache(B), segments=np.zeros((B, T), "int32"))
    with pytest.raises(ValueError, match="can be drawn anew"):
        layer.redraw_features()
    with pytest.raises(ValueError, match=r"\(4\) must divide those of `query` \(6\)"):
        linear_attention(*(np.ones((1, n, 3, 3), "float32") for n in (6, 4, 4)))
