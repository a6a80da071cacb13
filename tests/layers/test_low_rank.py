"""Linformer and Nyström attention against their papers; how near Nyström's comes to the softmax."""

from functools import partial

import keras
import numpy as np
import pytest
from attention_helpers import output, project, soft
from helpers import assert_layer_is, normal, numpy, randomize, softmax

from keras_tx.layers import LinformerAttention, NystromAttention
from keras_tx.ops.attention.nystrom import nystrom_map, pseudo_inverse

B, T, D, H, K, W, R, M = 2, 17, 14, 6, 3, 5, 4, 5
"""Batch, positions, width, heads, key/value heads, width of a head, Linformer's rank, landmarks."""

VARIANTS = {
    "Linformer": partial(LinformerAttention, D, H, T + 2, R, K, head_dim=W),
    "Linformer, one table": partial(LinformerAttention, D, H, T + 2, R, K, head_dim=W, share_projection=True),
    "Nyström": partial(NystromAttention, D, H, M, K, head_dim=W),
    "Nyström, more landmarks than positions": partial(NystromAttention, D, H, T + 3, K, head_dim=W),
}


def make(name: str, rng: np.random.Generator, **options):
    layer = VARIANTS[name](**options)
    layer.build()
    return randomize(layer, rng, scale=0.4)


def heads(w, x):
    query, key, value = (project(w, name, x, H if name == "query" else K) for name in ("query", "key", "value"))
    return query, *(y.repeat(H // K, axis=1) for y in (key, value))


def linformer(w, x, *, mask):
    """Wang et al. 2020, equation 7."""
    query, key, value = heads(w, x)
    tables = w["key_projection"][:T], w.get("value_projection", w["key_projection"])[:T]
    key, value = ((table.T * mask[:, None, None]) @ y for table, y in zip(tables, (key, value), strict=True))
    return output(w, soft(query @ key.swapaxes(2, 3) / W**0.5, mask.any(axis=1)[:, None, None, None]) @ value)


def nystrom(w, x, *, mask, count, iterations=6):
    """Xiong et al. 2021, equations 13 and 15, of the positions that are real."""
    import jax.numpy as jnp

    query, key, value = heads(w, x)
    member = (np.arange(T) * count // T == np.arange(count)[:, None]) & mask[:, None]
    there = member.any(axis=-1)[:, None]
    means = [(member / np.maximum(member.sum(axis=-1, keepdims=True), 1))[:, None] @ y for y in (query, key)]

    def weights(a, b, rows, columns):
        return soft(a @ b.swapaxes(2, 3) / W**0.5, rows[..., :, None] & columns[..., None, :])

    middle = weights(*means, there, there)
    inverse = (
        middle.swapaxes(2, 3)
        / (middle.sum(axis=2).max(axis=-1) * middle.sum(axis=3).max(axis=-1) + 1e-30)[..., None, None]
    )
    unit = jnp.eye(count)
    for _ in range(iterations):
        product = middle @ inverse
        inverse = inverse @ (13 * unit - product @ (15 * unit - product @ (7 * unit - product))) / 4
    left = weights(query, means[1], np.ones((1, 1, T), bool), there)
    right = weights(means[0], key, there, mask[:, None])
    return output(w, left @ inverse @ (right @ value))


@pytest.mark.parametrize("name", VARIANTS)
def test_equals_definition_and_its_gradients(name, rng):
    layer, x, mask = make(name, rng), normal(rng, B, T, D), rng.random((B, T)) < 0.7
    mask[0] = False
    defined = linformer if name.startswith("Linformer") else partial(nystrom, count=layer.num_landmarks)
    assert_layer_is(layer, partial(defined, mask=mask), x, attention_mask=mask)


@pytest.mark.parametrize("name", VARIANTS)
def test_maps_mix_values(name, rng):
    layer, x, mask = make(name, rng), normal(rng, B, T, D), rng.random((B, T)) < 0.7
    with_map, weights = layer(x, attention_mask=mask, return_attention=True)
    np.testing.assert_allclose(with_map, layer(x, attention_mask=mask), atol=1e-5)
    assert weights.shape == (B, H, T, R if name.startswith("Linformer") else T)
    shorter = layer(x[:, :9])
    np.testing.assert_allclose(shorter, layer(x[:, :9], attention_mask=np.ones((B, 9), bool)), atol=1e-5)


def test_nystrom_converges_to_the_softmax(rng):
    """With a landmark a position, but for the iteration; and where neighbours are alike, with fewer."""
    length, width = 32, 4
    steps = np.linspace(0, 3, length)[:, None] + 0.7 * np.arange(width)
    query, key = (2 * np.sin(x)[None, None].astype("float32") for x in (steps, 1.3 * steps))
    exact = softmax(query.astype("float64") @ key.swapaxes(2, 3) / width**0.5)
    errors = [np.abs(numpy(nystrom_map(query, key, landmarks=n)) - exact).max() for n in (2, 4, 8)]
    assert errors[0] > errors[1] > errors[2] and errors[2] < 0.03, errors
    few = [np.abs(numpy(nystrom_map(query, key, landmarks=32, iterations=n)) - exact).max() for n in (2, 6, 12)]
    assert few[0] > few[1] > few[2], few


def test_the_iteration_inverts(rng):
    x = softmax(3 * np.eye(M) + rng.normal(size=(B, H, M, M))).astype("float32")
    errors = [np.abs(numpy(pseudo_inverse(x, n)) @ x - np.eye(M)).max() for n in (2, 4, 6, 20)]
    assert sorted(errors, reverse=True) == errors and errors[-1] < 1e-4, errors


@pytest.mark.parametrize("name", ["Linformer", "Nyström"])
def test_free_batch_and_length_in_mixed_precision(name, rng):
    x = keras.Input((None, D))
    layer, exact = (VARIANTS[name](dtype=dtype) for dtype in ("mixed_bfloat16", "float32"))
    model = keras.Model(x, layer(x))
    exact.build()
    exact.set_weights(layer.get_weights())
    for shape in ((2, 17), (3, 3)):
        given = normal(rng, *shape, D)
        assert np.abs(model.predict(given, verbose=0).astype("float32") - numpy(exact(given))).max() < 0.06


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LinformerAttention(D, 2, 0, 4), "`max_length` must be a whole number of at least 1; got 0"),
        (lambda: LinformerAttention(D, 2, 8, 0), "`rank` must be .*; got 0"),
        (lambda: LinformerAttention(D, 2, 8, 4, causal=True), "`causal` has no meaning in LinformerAttention"),
        (lambda: LinformerAttention(D, 4, 8, 4), "`dim` must be a multiple"),
        (lambda: NystromAttention(D, 2, 0), "`num_landmarks` must be .*; got 0"),
        (lambda: NystromAttention(D, 2, dropout=0.1), "`dropout` has no meaning in NystromAttention"),
        (lambda: NystromAttention(D, 2, rope_theta=1e4), "have one too many"),
    ],
)
def test_errors_at_construction(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", ["Linformer", "Nyström"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention_mask": np.ones((B, T + 1), bool)}, "`attention_mask` must have shape"),
        ({"attention_mask": np.ones((B, T, T), bool)}, "must be .batch, keys."),
        ({"bias": np.ones((T, T), "float32")}, "`bias` has no meaning"),
        ({"cache": ()}, "`cache` has no meaning"),
    ],
)
def test_errors_at_call(name, options, message):
    with pytest.raises(ValueError, match=message):
        VARIANTS[name]()(np.ones((B, T, D), "float32"), **options)


def test_linformer_is_as_long_as_its_tables(rng):
    with pytest.raises(ValueError, match="`x` has 20 positions, more than `max_length` = 19"):
        make("Linformer", rng)(np.ones((B, T + 3, D), "float32"))
    with pytest.raises(ValueError, match="has no cache"):
        make("Linformer", rng).init_cache(B, T)
