"""Sliding windows against masked softmax attention by its definition, odd lengths and masks included."""

import keras
import numpy as np
import pytest
from attention_helpers import decoded, heads, joined, one_step, softmax_gradients
from helpers import attend, compiled, gradients, normal, numpy, randomize
from keras import ops

from keras_tx.layers import SlidingWindowAttention
from keras_tx.ops.attention import masks
from keras_tx.ops.attention.blocks import SharedKeys, band_attention
from keras_tx.ops.primitives import converted_graph

B, H, K, T, D = 2, 6, 3, 53, 18

VARIANTS = {
    "both sides": {"window_size": 5},
    "causal": {"window_size": 5, "causal": True, "rope_theta": 100.0},
    "itself alone": {"window_size": 1, "causal": True},
    "wider than a block": {"window_size": 38, "causal": True},
    "wider than the sequence": {"window_size": T + 4, "causal": True},
    "dilated": {"window_size": 4, "dilation": 3},
    "dilated, causal": {"window_size": 4, "dilation": 3, "causal": True},
    "global": {"window_size": 3, "num_global": 2},
    "global, causal": {"window_size": 3, "num_global": 2, "causal": True},
    "global, dilated, causal": {"window_size": 3, "num_global": 3, "dilation": 2, "causal": True},
}
CAUSAL = [name for name, options in VARIANTS.items() if options.get("causal")]


def make(name: str, rng: np.random.Generator, **options) -> SlidingWindowAttention:
    layer = SlidingWindowAttention(D, H, num_kv_heads=K, head_dim=4, **VARIANTS[name], **options)
    layer.build()
    return randomize(layer, rng)


def definition(window_size: int, causal=False, dilation=1, num_global=0, rope_theta=None, length=T) -> np.ndarray:
    """Which keys each query sees, `(T, T)`."""
    back = np.arange(length)[:, None] - np.arange(length)
    seen = (np.abs(back) < window_size * dilation) & (back % dilation == 0)
    seen[:, :num_global] = True
    if causal:
        return seen & (back >= 0)
    seen[:num_global] = True
    return seen


def padding(rng: np.random.Generator, length: int = T) -> np.ndarray:
    mask = rng.random((B, length)) < 0.7
    mask[1, -7:] = False
    return mask


@pytest.mark.parametrize("name", VARIANTS)
def test_equals_masked_softmax(name, rng):
    layer = make(name, rng)
    x, mask = normal(rng, B, T, D), padding(rng)
    seen = definition(**VARIANTS[name]) & mask[:, None, None]
    output, weights = attend(*heads(layer, x), mask=seen)
    expected = joined(layer, output)
    np.testing.assert_allclose(compiled(lambda x, m: layer(x, attention_mask=m))(x, mask), expected, atol=1e-4)
    with_map, found = compiled(lambda x, m: layer(x, attention_mask=m, return_attention=True))(x, mask)
    np.testing.assert_allclose(found, weights, atol=1e-5)
    np.testing.assert_allclose(with_map, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["causal", "global"])
def test_masks_and_biases_with_a_row_for_each_query(name, rng):
    layer = make(name, rng)
    x, mask, bias = normal(rng, B, T, D), rng.random((B, T, T)) < 0.7, normal(rng, H, T, T)
    seen = definition(**VARIANTS[name]) & mask[:, None]
    expected = joined(layer, attend(*heads(layer, x), mask=seen, bias=bias)[0])
    found = compiled(lambda x, m, b: layer(x, attention_mask=m, bias=b))(x, mask, bias)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("name", CAUSAL)
def test_decoding_from_the_ring_equals_the_full_pass(name, rng):
    """Beyond the window, one by one and several at once, a prompt longer than the window among them."""
    layer = make(name, rng)
    x = normal(rng, B, T, D)
    mask = np.ones((B, T + 6), bool)
    mask[1, :3] = False
    full = numpy(compiled(lambda x, m: layer(x, attention_mask=m))(x, mask[:, :T]))
    step = one_step(layer)
    for pieces in ((1,) * 5 + (2, 23, 23), (23, 2, *(1,) * 5, 23)):
        np.testing.assert_allclose(decoded(layer, x, pieces, mask, step), full, atol=2e-5)


@pytest.mark.parametrize("name", CAUSAL)
def test_decoding_from_all_keys_equals_the_full_pass(name, rng):
    """As graphs to be converted do, to whose cache a host appends."""
    layer, x, mask = make(name, rng), normal(rng, B, T, D), padding(rng)
    full = numpy(compiled(lambda x, m: layer(x, attention_mask=m))(x, mask))
    with converted_graph():
        assert layer.init_cache(B, T).key.shape == (B, K, T, 4)
        found = decoded(layer, x, (9, 1, T - 10), mask)
    np.testing.assert_allclose(found, full, atol=2e-5)


@pytest.mark.parametrize("causal", [True, False])
def test_a_sequence_shorter_than_what_is_global(causal, rng):
    layer = SlidingWindowAttention(D, H, 2, K, num_global=7, head_dim=4, causal=causal)
    layer.build()
    x, mask = normal(rng, B, 5, D), np.array([[True] * 5, [False, True, True, True, False]])
    seen = definition(2, causal, num_global=7, length=5) & mask[:, None, None]
    expected = joined(randomize(layer, rng), attend(*heads(layer, x), mask=seen)[0])
    np.testing.assert_allclose(compiled(lambda x, m: layer(x, attention_mask=m))(x, mask), expected, atol=1e-4)
    if causal:
        np.testing.assert_allclose(decoded(layer, x, (2, 1, 2), mask), expected, atol=1e-4)


def test_the_ring_is_as_long_as_the_window():
    layer = SlidingWindowAttention(D, H, 4, K, head_dim=4, dilation=3, num_global=2, causal=True)
    assert layer.init_cache(B, 10**6).key.shape == (B, K, 2 + 3 * 3 + 1, 4)
    assert layer.init_cache(B, 7).key.shape == (B, K, 7, 4)


@pytest.mark.parametrize(
    ("options", "length"),
    [
        ({"before": 7}, 29),
        ({"before": 7, "after": 2, "block_size": 3}, 29),
        ({"before": 2, "after": 5, "block_size": 5, "dilation": 2}, 31),
    ],
)
def test_gradients_are_those_of_the_definition(options, length, rng):
    query, key, value = normal(rng, B, H, length, 5), normal(rng, B, K, length, 5), normal(rng, B, K, length, 7)
    mask = padding(rng, length)
    mask[0] = False
    back = np.arange(length)[:, None] - np.arange(length)
    step = options.get("dilation", 1)
    seen = (back <= options["before"] * step) & (-back <= options.get("after", 0) * step) & (back % step == 0)
    seen = seen & mask[:, None, None]

    def total(query, key, value):
        return ops.sum(ops.sin(band_attention(query, key, value, mask=mask, **options)))

    expected = softmax_gradients(seen, query, key, value)
    for found, wanted in zip(gradients(compiled(total), query, key, value), expected, strict=False):
        np.testing.assert_allclose(found, wanted, atol=2e-6)
        assert not found[0].any()


def test_shared_keys_are_seen_by_those_that_may(rng):
    query, key, value = (normal(rng, B, n, 11, 5) for n in (H, K, K))
    more = normal(rng, B, K, 3, 5), normal(rng, B, K, 3, 5)
    seen = rng.random((B, 11, 3)) < 0.5
    near = np.tri(11, dtype=bool) & ~np.tri(11, k=-3, dtype=bool)
    full = np.concatenate([np.broadcast_to(seen[:, None], (B, 1, 11, 3)), np.broadcast_to(near, (B, 1, 11, 11))], -1)
    keys, values = (np.concatenate(pair, axis=2) for pair in zip(more, (key, value), strict=True))
    shared = SharedKeys(*(ops.convert_to_tensor(x) for x in (*more, seen)))
    found = band_attention(*map(ops.convert_to_tensor, (query, key, value)), before=2, block_size=4, shared=shared)
    np.testing.assert_allclose(found, attend(query, keys, values, mask=full)[0], atol=2e-6)


def test_free_batch_and_length_in_mixed_precision(rng):
    x = keras.Input((None, D))
    layer = SlidingWindowAttention(D, 3, 5, causal=True, num_global=2, dropout=0.1, dtype="mixed_bfloat16")
    model = keras.Model(x, layer(x))
    for shape in ((2, 41), (3, 3)):
        given = normal(rng, *shape, D)
        exact = SlidingWindowAttention(D, 3, 5, causal=True, num_global=2)
        exact.build()
        exact.set_weights(layer.get_weights()[: len(exact.weights)])
        difference = model.predict(given, verbose=0).astype("float32") - numpy(exact(given))
        assert np.abs(difference).max() < 0.03


def test_dropout_in_training_only(rng):
    layer = make("causal", rng, dropout=0.5)
    x = normal(rng, B, T, D)
    quiet, noisy = numpy(layer(x)), numpy(layer(x, training=True))
    assert np.isfinite(noisy).all() and not np.allclose(quiet, noisy)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window_size": 0}, "`window_size` must be a whole number of at least 1; got 0"),
        ({"window_size": 3, "dilation": 0}, "`dilation` must be .*; got 0"),
        ({"window_size": 3, "num_global": -1}, "`num_global` must be at least 0; got -1"),
        ({"window_size": 3, "num_kv_heads": 4}, "num_kv_heads=4"),
        ({"window_size": 3, "context_dim": 5}, "`context_dim` has no meaning in SlidingWindowAttention"),
    ],
)
def test_errors_at_construction(options, message):
    with pytest.raises(ValueError, match=message):
        SlidingWindowAttention(D, H, **options)


def test_errors_at_call():
    x = np.ones((B, T, D), "float32")
    layer, causal = SlidingWindowAttention(D, H, 3), SlidingWindowAttention(D, H, 3, causal=True)
    with pytest.raises(ValueError, match="`attention_mask` must have shape"):
        layer(x, attention_mask=np.ones((B, T + 1), bool))
    with pytest.raises(ValueError, match="needs `causal=True`"):
        layer(x, cache=layer.init_cache(B, T))
    with pytest.raises(ValueError, match="leave out the `cache`"):
        causal(x, cache=causal.init_cache(B, T), return_attention=True)
    with pytest.raises(ValueError, match="a RingCache keeps no slot for each position"):
        causal(x, cache=causal.init_cache(B, T), attention_mask=masks.causal)
    with pytest.raises(ValueError, match="`context` is for cross attention"):
        layer(x, context=x)
