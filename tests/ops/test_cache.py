import numpy as np
import pytest
from helpers import compiled, normal, numpy
from keras import ops

from keras_tx.generation.rows import repeat_rows, rewind
from keras_tx.layers import BlockCache
from keras_tx.ops.attention.cache import KVCache, LatentCache, least_capacity
from keras_tx.ops.attention.linear import LinearState
from keras_tx.ops.attention.ring_cache import RingCache

B, K, S, D = 2, 3, 11, 5


def test_appends_in_order(rng):
    cache = KVCache.empty(B, K, S, D)
    assert cache.key.shape == cache.value.shape == (B, K, S, D) and int(cache.index) == 0
    keys, values = normal(rng, B, K, 7, D), normal(rng, B, K, 7, D)
    update = compiled(lambda cache, key, value: cache.append(key, value))
    filled = 0
    for length in (4, 1, 2):
        np.testing.assert_array_equal(cache.query_positions(length), np.arange(filled, filled + length))
        part = slice(filled, filled + length)
        cache = update(cache, keys[:, :, part], values[:, :, part])
        filled += length
    assert int(cache.index) == 7
    for have, want in ((cache.key, keys), (cache.value, values)):
        np.testing.assert_array_equal(numpy(have)[:, :, :7], want)
        assert not numpy(have)[:, :, 7:].any()
    np.testing.assert_array_equal(cache.key_positions(), np.arange(S))


def test_keeps_its_own_dtype(rng):
    cache = KVCache.empty(B, K, S, D, "float16").append(normal(rng, B, K, 2, D), normal(rng, B, K, 2, D))
    assert numpy(cache.key).dtype == numpy(cache.value).dtype == np.float16


def test_more_than_the_whole_cache():
    with pytest.raises(ValueError, match="12 positions do not fit into a cache of 11"):
        KVCache.empty(B, K, S, D).append(np.zeros((B, K, 12, D)), np.zeros((B, K, 12, D)))


KINDS = {
    "keys and values": (KVCache.empty(B, K, S, D), S, ("key", "value")),
    "latents": (LatentCache.empty(B, S, D), S, ("latent",)),
    "a ring": (RingCache.empty(B, K, 4, D, sink_tokens=2), None, ("key", "value")),
    "sums": (LinearState.empty(B, K, 7, D), None, ("sums",)),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_answers_the_same_questions(name, rng):
    cache, capacity, names = KINDS[name]
    cache = cache.with_tensors({part: normal(rng, *x.shape) for part, x in cache.tensors().items()}, np.int32(5))
    assert cache.capacity == capacity and cache.by_position == (capacity is not None)
    assert int(cache.fill) == 5 and tuple(cache.tensors()) == names
    np.testing.assert_array_equal(cache.query_positions(2), [5, 6])
    taken, repeated = cache.take_rows(np.array([1, 1, 0])), cache.repeat_rows(2)
    for part, x in cache.tensors().items():
        np.testing.assert_array_equal(taken.tensors()[part], x[[1, 1, 0]])
        np.testing.assert_array_equal(repeated.tensors()[part], np.repeat(x, 2, axis=0))
    assert type(taken) is type(repeated) is type(cache) and int(taken.fill) == int(repeated.fill) == 5


@pytest.mark.parametrize("name", KINDS)
def test_taking_positions_back(name):
    cache, capacity, _ = KINDS[name]
    if capacity is not None:
        assert int(cache.rewind(3).fill) == 3
        return
    with pytest.raises(ValueError, match=f"taken back from a {type(cache).__name__}"):
        cache.rewind(3)
    with pytest.raises(ValueError, match="keeps no slot for each position"):
        cache.key_positions()


@pytest.mark.parametrize("sinks", [0, 2])
def test_a_ring_without_padding_at_the_end(sinks, rng):
    """Chunks filled up with padding leave what the positions by themselves leave."""
    x = normal(rng, B, K, 9, D)
    whole = RingCache.empty(B, K, 4, D, sink_tokens=sinks).append(x, -x, sinks)
    parts = RingCache.empty(B, K, 4, D, sink_tokens=sinks).until(np.int32(9))
    for chunk in np.split(np.pad(x, ((0, 0), (0, 0), (0, 3), (0, 0)), constant_values=7.0), 2, axis=2):
        parts = parts.append(chunk, -chunk, sinks)
    assert int(parts.fill) == int(whole.fill) == 9
    for have, want in zip(parts.tensors().values(), whole.tensors().values(), strict=True):
        np.testing.assert_array_equal(have, want)


def test_those_of_a_block_and_of_all_layers(rng):
    """The context's keys and values stay where they are as beams change places."""
    own, context = KVCache.empty(B, K, S, D), KVCache(normal(rng, B, K, 4, D), normal(rng, B, K, 4, D), np.int32(4))
    blocks = BlockCache(own, context), BlockCache(RingCache.empty(B, K, 4, D))
    assert (blocks[0].capacity, blocks[1].capacity, least_capacity(blocks)) == (S, None, S)
    taken = blocks[0].take_rows(np.array([1, 0]))
    np.testing.assert_array_equal(taken.cross.key, context.key)
    rewound = rewind({"cache": blocks[:1], "other": np.int32(9)}, np.int32(2))
    block = rewound["cache"][0]
    assert int(block.fill) == 2 and int(block.cross.fill) == 4 and int(rewound["other"]) == 9
    repeated = repeat_rows((blocks, np.arange(2)), 3)
    assert repeated[0][0].cross.key.shape[0] == repeated[0][1].attention.key.shape[0] == 3 * B
    np.testing.assert_array_equal(repeated[1], [0, 0, 0, 1, 1, 1])


def test_loops_carry_every_kind():
    caches = tuple(cache for cache, *_ in KINDS.values())

    def advanced(i, caches):
        return i + 1, tuple(cache.with_tensors({}, cache.fill + 1) for cache in caches)

    _, after = compiled(lambda caches: ops.while_loop(lambda i, _: i < 3, advanced, (0, caches)))(caches)
    assert [type(cache) for cache in after] == [type(cache) for cache in caches]
    assert [int(cache.fill) for cache in after] == [3] * len(caches)
