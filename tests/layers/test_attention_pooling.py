"""Pooling by attention, by its definition."""

import numpy as np
import pytest
from helpers import attend, dense, layer_norm, normal, numpy, randomize

from keras_tx.layers import AttentionPooling
from keras_tx.ops.activations import get_activation


def test_by_definition(rng):
    layer, x = AttentionPooling(6, 3, 11, activation="silu", norm_epsilon=1e-3), normal(rng, 2, 5, 6)
    layer.build()
    randomize(layer, rng)

    def heads(y):
        return y.reshape(len(y), -1, 3, 2).swapaxes(1, 2)

    part = layer.attention
    query = heads(dense(part.query, numpy(layer.query)))
    seen, _ = attend(query, heads(dense(part.key, x)), heads(dense(part.value, x)))
    seen = dense(part.output_projection, seen.swapaxes(1, 2).reshape(2, 6))
    inside = dense(layer.feed_forward.up, layer_norm(seen, numpy(layer.norm.gamma), numpy(layer.norm.beta), 1e-3))
    expected = seen + dense(layer.feed_forward.down, numpy(get_activation("silu")(inside)))
    found = layer(x.astype("float32"))
    assert found.shape == layer.compute_output_shape(x.shape) == (2, 6)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_order_of_the_tokens_does_not_matter(rng):
    layer, x = AttentionPooling(6, 2, 7), normal(rng, 2, 5, 6)
    np.testing.assert_allclose(layer(x), layer(x[:, ::-1].copy()), atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 6), (2, 5, 7)])
def test_bad_input(rng, shape):
    with pytest.raises(ValueError, match="`x` must"):
        AttentionPooling(6, 2, 7)(normal(rng, *shape))
