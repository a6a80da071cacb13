"""Longformer's attention against its definition over all pairs, by either of its ways, gradients included."""

import numpy as np
import pytest
from attention_helpers import output, project, soft
from helpers import assert_layer_is, compiled, normal, numpy, randomize

from keras_tx.layers import LongformerAttention, TransformerBlock
from keras_tx.ops.primitives import converted_graph

B, H, T, D = 2, 3, 37, 12
WINDOW = 6


def make(rng: np.random.Generator, **options) -> LongformerAttention:
    layer = LongformerAttention(D, H, WINDOW, **options)
    layer.build()
    return randomize(layer, rng)


def padding() -> np.ndarray:
    """On the left, and on the right."""
    mask = np.ones((B, T), bool)
    mask[0, :5] = False
    mask[1, -9:] = False
    return mask


def global_tokens(count: int, rng: np.random.Generator) -> np.ndarray:
    """So many in the first text, one less in the second, among the padding too."""
    marked = np.zeros((B, T), "int32")
    for row, n in zip(marked, (count, count - 1), strict=True):
        row[rng.permutation(T)[:n]] = 1
    marked[1, -1] = 1
    return marked


def defined(marked: np.ndarray, mask: np.ndarray | None = None):
    """The layer in `jax.numpy`, where these tokens are global and a mask hides keys and queries, or pairs."""
    mask = np.ones((B, T), bool) if mask is None else mask
    seen = mask[:, :, None] & mask[:, None] if mask.ndim == 2 else mask
    marked = np.pad(marked, ((0, 0), (0, T - marked.shape[1]))).astype(bool)
    near = np.abs(np.arange(T)[:, None] - np.arange(T)) <= WINDOW // 2

    def definition(w, x):
        import jax.numpy as jnp

        def attend(allowed, suffix: str = ""):
            query, key, value = (project(w, f"{name}{suffix}", x, H) for name in ("query", "key", "value"))
            weights = soft(query @ key.swapaxes(-1, -2) / np.sqrt(D // H), allowed[:, None])
            return weights, weights @ value

        local, everywhere = attend(seen & (near | marked[:, None])), attend(seen, "_global")
        weights, mixed = (
            jnp.where(marked[:, None, :, None], far, close) for far, close in zip(everywhere, local, strict=True)
        )
        definition.weights = weights
        return output(w, mixed)

    return definition


def test_a_window_alone(rng):
    """Without global tokens: the global projections are not read."""
    layer, x = make(rng), normal(rng, B, T, D)
    none = np.zeros((B, T), "int32")
    for mask in (None, padding()):
        assert_layer_is(layer, defined(none, mask), x, attention_mask=mask)


@pytest.mark.parametrize("max_global", [None, 9])
@pytest.mark.parametrize("count", [1, 4])
def test_global_tokens(count, max_global, rng):
    """By way of all pairs where any number can be global, and of few."""
    layer, x, marked = make(rng, max_global=max_global), normal(rng, B, T, D), global_tokens(count, rng)
    given = {"attention_mask": padding(), "global_attention_mask": marked}
    assert_layer_is(layer, defined(marked, padding()), x, **given)


@pytest.mark.parametrize("count", [1, 7])
def test_a_mask_of_the_first_tokens(count, rng):
    layer, x = make(rng), normal(rng, B, T, D)
    marked = np.ones((B, count), "int32")
    marked[1, 0] = 0
    assert_layer_is(layer, defined(marked), x, global_attention_mask=marked)
    assert_layer_is(layer, defined(marked, padding()), x, attention_mask=padding(), global_attention_mask=marked)


def test_few_and_all_pairs_agree_on_the_first_tokens_of_too_many(rng):
    marked = global_tokens(8, rng)
    real = marked * padding()
    first = real * (real.cumsum(axis=1) <= 3)
    assert (first.sum(axis=1) < real.sum(axis=1)).all()
    layer, x = make(rng, max_global=3), normal(rng, B, T, D)
    given = {"attention_mask": padding(), "global_attention_mask": marked}
    assert_layer_is(layer, defined(first, padding()), x, **given)
    found, weights = layer(x, **given, return_attention=True)
    np.testing.assert_allclose(numpy(found), numpy(layer(x, **given)), atol=1e-5)
    with converted_graph():
        np.testing.assert_allclose(numpy(layer(x, **given)), numpy(found), atol=1e-5)
    assert weights.shape == (B, H, T, T)
    real = padding()
    np.testing.assert_allclose(numpy(weights).sum(axis=-1), np.broadcast_to(real[:, None], (B, H, T)), atol=1e-5)
    assert not numpy(weights)[:, :, 20, 30].any() or first[:, 20].any() or first[:, 30].any()


def test_a_mask_for_each_query(rng):
    layer, x, marked = make(rng, max_global=3), normal(rng, B, T, D), global_tokens(2, rng)
    mask = rng.random((B, T, T)) < 0.7
    given = {"attention_mask": mask, "global_attention_mask": marked}
    assert_layer_is(layer, defined(marked, mask), x, **given)


def test_the_map(rng):
    layer, x, marked = make(rng), normal(rng, B, T, D), global_tokens(3, rng)
    definition = defined(marked, padding())
    weights = {weight.path.split("/", 1)[1]: numpy(weight) for weight in layer.trainable_weights}
    expected = numpy(definition(weights, x))
    given = {"attention_mask": padding(), "global_attention_mask": marked}
    found, maps = compiled(lambda x: layer(x, **given, return_attention=True))(x)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    np.testing.assert_allclose(maps, numpy(definition.weights), atol=1e-5)


@pytest.mark.parametrize("length", [1, 5, WINDOW, WINDOW + 1])
def test_texts_as_short_as_the_window(length, rng):
    layer, x = make(rng, max_global=2), normal(rng, B, length, D)
    marked = np.zeros((B, length), "int32")
    marked[:, -1] = 1
    whole = layer(x, global_attention_mask=marked)
    with converted_graph():
        np.testing.assert_allclose(numpy(layer(x, global_attention_mask=marked)), numpy(whole), atol=1e-5)


@pytest.mark.parametrize("max_global", [None, 2])
def test_dropout_drops(max_global, rng):
    layer, x, marked = make(rng, dropout=0.5, max_global=max_global), normal(rng, B, T, D), global_tokens(2, rng)
    still = [numpy(layer(x, global_attention_mask=marked)) for _ in range(2)]
    drawn = [numpy(layer(x, global_attention_mask=marked, training=True)) for _ in range(2)]
    np.testing.assert_array_equal(*still)
    assert not np.allclose(*drawn, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention_window": 5}, "`attention_window` must be even, half of it to each side; got 5"),
        ({"attention_window": 0}, "`attention_window` must be a whole number of at least 1; got 0"),
        ({"max_global": 0}, "`max_global` must be a whole number of at least 1; got 0"),
        ({"causal": True}, "`causal` has no meaning in LongformerAttention"),
        ({"num_kv_heads": 1}, "`num_kv_heads` has no meaning in LongformerAttention"),
        ({"rope_theta": 10.0}, "`rope_theta` has no meaning in LongformerAttention"),
    ],
)
def test_arguments_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        LongformerAttention(D, H, **options)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"global_attention_mask": np.ones((B, T + 1))}, f"`global_attention_mask` must be at most {T} long"),
        ({"global_attention_mask": np.ones((B, T, T))}, r"`global_attention_mask` must be \(batch, first tokens\)"),
        ({"global_attention_mask": np.ones((B + 1, T))}, r"`global_attention_mask` must have shape \(2, None\)"),
        ({"attention_mask": np.ones((B, T - 1))}, "`attention_mask` must have shape"),
        ({"bias": np.ones((T, T), "float32")}, "`bias` has no meaning in LongformerAttention"),
        ({"cache": ()}, "`cache` has no meaning in LongformerAttention"),
    ],
)
def test_calls_that_cannot_be(given, message, rng):
    with pytest.raises(ValueError, match=message):
        make(rng)(normal(rng, B, T, D), **given)


def test_other_attention_refuses_global_tokens(rng):
    block = TransformerBlock(D, H)
    block.build()
    with pytest.raises((TypeError, ValueError), match="global_attention_mask"):
        block(normal(rng, B, T, D), global_attention_mask=np.ones((B, T)))
