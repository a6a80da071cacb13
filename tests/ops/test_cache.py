import numpy as np
import pytest
from helpers import compiled, normal, numpy

from keras_tx.ops.attention.cache import init_cache, key_slots, query_slots, update_cache

B, K, S, D = 2, 3, 11, 5


def test_appends_in_order(rng):
    cache = init_cache(B, K, S, D)
    assert cache.key.shape == cache.value.shape == (B, K, S, D) and int(cache.index) == 0
    keys, values = normal(rng, B, K, 7, D), normal(rng, B, K, 7, D)
    update = compiled(update_cache)
    filled = 0
    for length in (4, 1, 2):
        np.testing.assert_array_equal(query_slots(cache, length), np.arange(filled, filled + length))
        part = slice(filled, filled + length)
        cache = update(cache, keys[:, :, part], values[:, :, part])
        filled += length
    assert int(cache.index) == 7
    for have, want in ((cache.key, keys), (cache.value, values)):
        np.testing.assert_array_equal(numpy(have)[:, :, :7], want)
        assert not numpy(have)[:, :, 7:].any()
    np.testing.assert_array_equal(key_slots(cache), np.arange(S))


def test_keeps_its_own_dtype(rng):
    cache = update_cache(init_cache(B, K, S, D, "float16"), normal(rng, B, K, 2, D), normal(rng, B, K, 2, D))
    assert numpy(cache.key).dtype == numpy(cache.value).dtype == np.float16


def test_more_than_the_whole_cache():
    with pytest.raises(ValueError, match="12 positions do not fit into a cache of 11"):
        update_cache(init_cache(B, K, S, D), np.zeros((B, K, 12, D)), np.zeros((B, K, 12, D)))
