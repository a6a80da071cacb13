"""Block-sparse attention: its pattern drawn again in NumPy, and masked softmax attention by that pattern."""

from functools import partial

import keras
import numpy as np
import pytest
from attention_helpers import decoded, output, project, soft
from helpers import assert_layer_is, normal, numpy, randomize

from keras_tx.layers import BlockSparseAttention
from keras_tx.ops.attention.block_sparse import BlockPattern

B, T, D, H, K, W = 2, 41, 14, 6, 3, 5
"""Batch, positions, width, heads, key/value heads, width of a head."""

VARIANTS = {
    "both sides": {"block_size": 3, "window_blocks": 1, "random_blocks": 2, "global_blocks": 1},
    "causal": {"block_size": 3, "window_blocks": 1, "random_blocks": 2, "global_blocks": 1, "causal": True},
    "no random, none for all": {"block_size": 5, "window_blocks": 2, "random_blocks": 0, "global_blocks": 0},
    "blocks longer than the text": {"block_size": 64, "global_blocks": 2},
    "more than there are, causal": {"block_size": 7, "random_blocks": 9, "global_blocks": 9, "causal": True},
}


def make(name: str, rng: np.random.Generator, **options) -> BlockSparseAttention:
    layer = BlockSparseAttention(D, H, K, head_dim=W, seed=5, **VARIANTS[name], **options)
    layer.build()
    return randomize(layer, rng)


def hashed(number: int, stream: int, seed: int) -> int:
    """MurmurHash3's finalizer, the sign dropped."""
    x = (number * 0x27D4EB2F + seed * 0x9E3779B1 + stream * 0x85EBCA77 + 0x165667B1) % 2**32
    x = (x ^ (x >> 16)) * 0x85EBCA6B % 2**32
    x = (x ^ (x >> 13)) * 0xC2B2AE35 % 2**32
    return (x ^ (x >> 16)) % 2**31


def seen_blocks(count: int, window: int, random: int, first: int, causal: bool, seed: int) -> list[set[int]]:
    """What each block sees: the first ones, its neighbours, and others by Floyd's sampling."""
    rows = []
    for own in range(count):
        last = own if causal else count - 1
        near = set(range(max(own - window, 0), min(own + window, last) + 1))
        sure = near | set(range(min(first, last + 1)))
        others = [block for block in range(last + 1) if block not in sure and (block < own or not causal)]
        chosen: set[int] = set()
        for i in range(random):
            largest = len(others) - random + i
            if largest >= 0:
                draw = hashed(own, i, seed) % (largest + 1)
                chosen.add(largest if draw in chosen else draw)
        rows.append(sure | {others[i] for i in chosen})
    return rows


def allowed(length: int = T, block_size=64, window_blocks=1, random_blocks=3, global_blocks=1, causal=False):
    """Which keys each query sees, `(T, T)`."""
    rows = seen_blocks(-(-length // block_size), window_blocks, random_blocks, global_blocks, causal, seed=5)
    blocks = np.arange(length) // block_size
    seen = np.array([[key in rows[query] for key in blocks] for query in blocks])
    return seen & np.tri(length, dtype=bool) if causal else seen | (blocks < global_blocks)[:, None]


def padding(rng: np.random.Generator) -> np.ndarray:
    mask = rng.random((B, T)) < 0.7
    mask[0] = False
    return mask


def definition(w, x, *, seen):
    query, key, value = (project(w, name, x, H if name == "query" else K) for name in ("query", "key", "value"))
    key, value = (y.repeat(H // K, axis=1) for y in (key, value))
    return output(w, soft(query @ key.swapaxes(2, 3) / W**0.5, seen) @ value)


@pytest.mark.parametrize("name", VARIANTS)
def test_equals_masked_softmax_and_its_gradients(name, rng):
    layer, x, mask = make(name, rng), normal(rng, B, T, D), padding(rng)
    seen = allowed(**VARIANTS[name]) & mask[:, None, None]
    assert_layer_is(layer, partial(definition, seen=seen), x, attention_mask=mask)


@pytest.mark.parametrize("name", ["both sides", "causal"])
def test_maps_masks_and_biases_with_a_row_for_each_query(name, rng):
    layer, x, mask = make(name, rng), normal(rng, B, T, D), rng.random((B, T, T)) < 0.9
    _, weights = layer(x, attention_mask=mask, return_attention=True)
    assert not numpy(weights)[~np.broadcast_to((mask & allowed(**VARIANTS[name]))[:, None], weights.shape)].any()
    np.testing.assert_allclose(layer(x, bias=np.zeros((T, T), "float32")), layer(x), atol=2e-5)


def test_decoding_equals_the_full_pass(rng):
    layer, x = make("causal", rng), normal(rng, B, T, D)
    mask = np.ones((B, T + 4), bool)
    mask[1, :3] = False
    full = layer(x, attention_mask=mask[:, :T])
    np.testing.assert_allclose(decoded(layer, x, (30, 1, 1, 9), mask), full, atol=2e-5)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("count", [1, 2, 5, 37])
def test_the_table_is_the_pattern(causal, count):
    """The same on both backends, for the numbers are NumPy's."""
    table = numpy(BlockPattern(4, 1, 3, 2, causal, seed=11).table(count))
    expected = seen_blocks(count, 1, 3, 2, causal, seed=11)
    for own in range(count):
        real = table[own][table[own] >= 0].tolist()
        assert len(set(real)) == len(real) and set(real) == expected[own]


def test_random_blocks_spread_evenly():
    rows = seen_blocks(101, 1, 3, 1, causal=False, seed=2)
    table = numpy(BlockPattern(4, 1, 3, 1, False, seed=2).table(101))
    assert [set(row[row >= 0].tolist()) for row in table] == rows
    counts = np.bincount(table[:, -3:].ravel(), minlength=101)[1:]
    assert counts.max() < 12 and abs(counts[:50].sum() - counts[50:].sum()) < 60


def test_free_batch_and_length_in_mixed_precision(rng):
    x = keras.Input((None, D))
    layer, exact = (
        BlockSparseAttention(D, H, head_dim=W, block_size=3, dtype=dtype) for dtype in ("mixed_bfloat16", "float32")
    )
    model = keras.Model(x, layer(x))
    exact.build()
    exact.set_weights(layer.get_weights())
    for shape in ((2, 41), (3, 2)):
        given = normal(rng, *shape, D)
        assert np.abs(model.predict(given, verbose=0).astype("float32") - numpy(exact(given))).max() < 0.03


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block_size": 0}, "`block_size` must be a whole number of at least 1; got 0"),
        ({"window_blocks": -1}, "`window_blocks` must be at least 0; got -1"),
        ({"random_blocks": -2}, "`random_blocks` must be at least 0; got -2"),
        ({"num_kv_heads": 4}, "num_kv_heads=4"),
        ({"sinks": True}, "`sinks` has no meaning in BlockSparseAttention"),
    ],
)
def test_errors_at_construction(options, message):
    with pytest.raises(ValueError, match=message):
        BlockSparseAttention(18, 6, **options)


def test_errors_at_call():
    x, layer = np.ones((B, T, D), "float32"), BlockSparseAttention(D, 2, block_size=4)
    with pytest.raises(ValueError, match="`attention_mask` must have shape"):
        layer(x, attention_mask=np.ones((B, T + 1), bool))
    with pytest.raises(ValueError, match="needs `causal=True`"):
        layer(x, cache=layer.init_cache(B, T))
