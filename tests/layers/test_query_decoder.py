"""The decoder of queries: places, queries, blocks, maps of attention."""

import numpy as np
import pytest
from helpers import dense, normal, numpy, randomize

from keras_tx.layers.image.query_decoder import QueryDecoder, grid_positions

SIZES = {"num_queries": 7, "d_model": 12, "num_heads": 3, "d_ff": 17, "num_layers": 2}


def make(rng, **options) -> QueryDecoder:
    layer = QueryDecoder(5, **(SIZES | options))
    layer.build()
    return randomize(layer, rng)


def test_places_by_definition():
    """Sines and cosines of the row in the first half, of the column in the second."""
    table = numpy(grid_positions(3, 5, 12)).reshape(3, 5, 12)
    for row, column in ((0, 0), (2, 1), (1, 4)):
        for k in range(3):
            rate = 10000 ** (-2 * k / 6)
            found = table[row, column, [2 * k, 2 * k + 1, 6 + 2 * k, 7 + 2 * k]]
            waves = [np.sin(row * rate), np.cos(row * rate), np.sin(column * rate), np.cos(column * rate)]
            np.testing.assert_allclose(found, waves, atol=1e-5)


def test_blocks_by_definition(rng):
    """Each block's queries are normalized; the next block gets them as they were."""
    layer, x = make(rng), normal(rng, 2, 3, 4, 5)
    context = dense(layer.projection, x).reshape(2, 12, 12) + numpy(grid_positions(3, 4, 12))
    queries = np.repeat(numpy(layer.queries), 2, axis=0)
    states = layer(x).states
    assert len(states) == 2
    for block, state in zip(layer.blocks, states, strict=True):
        queries = block(queries, context.astype("float32"))
        np.testing.assert_allclose(state, layer.norm(queries), atol=1e-5)


def test_attention_maps(rng):
    layer, x = make(rng, encoder_num_layers=1), normal(rng, 2, 3, 4, 5)
    decoded = layer(x, return_attention=True)
    shapes = {"encoder_attentions": (12, 12), "decoder_attentions": (7, 7), "cross_attentions": (7, 12)}
    for name, shape in shapes.items():
        maps = getattr(decoded, name)
        assert [weights.shape for weights in maps] == [(2, 3, *shape)] * (1 if "encoder" in name else 2)
        for weights in maps:
            np.testing.assert_allclose(numpy(weights).sum(axis=-1), 1, atol=1e-5)
    for found, expected in zip(decoded.states, layer(x).states, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert layer(x)[1:] == ((), (), ())


def test_the_encoder_sees_the_whole_map(rng):
    """What changes in one corner reaches every query by the context of the other."""
    plain, encoded = make(rng), make(rng, encoder_num_layers=1)
    assert len(encoded.weights) == len(plain.weights) + 16 + 2  # a block, and a norm
    x = normal(rng, 2, 3, 4, 5)
    other = x.copy()
    other[:, 0, 0] += 3
    options = {"return_attention": False, "training": False}
    for layer, count in ((plain, 1), (encoded, 12)):
        (before, _), (after, _) = (layer._encode(maps, options) for maps in (x, other))
        assert np.any(~np.isclose(before, after, atol=1e-4), axis=(0, 2)).sum() == count


def test_config():
    layer = QueryDecoder(5, **SIZES, encoder_num_layers=1, dropout=0.1, kernel_initializer="he_normal")
    copy = QueryDecoder.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert (copy.num_queries, copy.encoder_num_layers, copy.dropout) == (7, 1, 0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"d_model": 6}, "`d_model` must be a multiple of 4, for sinusoids of rows and of columns; got 6"),
        ({"num_heads": 5}, "`d_model` must be a multiple of `num_heads`"),
        ({"num_queries": 0}, "`num_queries` must be a whole number"),
        ({"num_layers": 0}, "`num_layers` must be a whole number"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        QueryDecoder(5, **(SIZES | options))


def test_errors_of_maps(rng):
    layer = make(rng)
    with pytest.raises(ValueError, match=r"`x` must be \(batch, height, width, dim\)"):
        layer(normal(rng, 2, 12, 5))
    with pytest.raises(ValueError, match="the last axis of `x` must be 5"):
        layer(normal(rng, 2, 3, 4, 7))
