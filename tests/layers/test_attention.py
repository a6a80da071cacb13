"""The attention layer against its definition in NumPy, with the layer's own weights; its cache; its errors."""

import keras
import numpy as np
import pytest
from helpers import attend, dense, normal, numpy, randomize, rotate

from keras_tx.layers import CrossAttention, GroupedQueryAttention, MultiHeadAttention, MultiQueryAttention
from keras_tx.ops import Rotary

B, T, S, D, C = 2, 5, 7, 18, 11


def reference(layer: MultiHeadAttention, x, context=None, mask=None, bias=0.0, positions=None):
    """Output and map of the layer, in float64."""

    def split(y: np.ndarray, heads: int) -> np.ndarray:
        return y.reshape(len(y), -1, heads, layer.head_dim).swapaxes(1, 2)

    source = x if context is None else context
    query = split(dense(layer.query, x), layer.num_heads)
    key, value = (split(dense(p, source), layer.num_kv_heads) for p in (layer.key, layer.value))
    if layer.rope_theta or layer.rotary:
        positions = np.arange(x.shape[1]) if positions is None else positions
        positions = positions[:, None] if positions.ndim == 2 else positions
        base, dim = (layer.rotary.rope_theta, layer.rotary.dim) if layer.rotary else (layer.rope_theta, layer.head_dim)
        query, key = (
            np.concatenate([rotate(y[..., :dim], positions, base), y[..., dim:]], axis=-1) for y in (query, key)
        )
    if layer.causal:
        mask = np.tri(x.shape[1], dtype=bool) & (True if mask is None else mask)
    output, weights = attend(query, key, value, mask=mask, bias=bias, scale=layer.scale)
    merged = output.swapaxes(1, 2).reshape(*x.shape[:2], -1)
    return dense(layer.output_projection, merged), weights


VARIANTS = {
    "MHA": lambda: MultiHeadAttention(D, 3),
    "causal": lambda: MultiHeadAttention(D, 3, causal=True),
    "GQA": lambda: GroupedQueryAttention(D, 6, 3, causal=True),
    "MQA": lambda: MultiQueryAttention(D, 6),
    "narrow heads": lambda: MultiHeadAttention(D, 3, head_dim=5),
    "no bias": lambda: MultiHeadAttention(D, 3, use_bias=False),
    "scale": lambda: MultiHeadAttention(D, 3, scale=1.0),
    "rotary": lambda: MultiHeadAttention(D, 3, rope_theta=10000.0),
    "rotary GQA": lambda: MultiHeadAttention(D, 6, 3, head_dim=4, causal=True, rope_theta=50.0),
    "partly rotary": lambda: MultiHeadAttention(D, 3, causal=True, rotary=Rotary(rope_theta=50.0, dim=4)),
    "cross": lambda: CrossAttention(D, C, 3),
    "cross GQA": lambda: CrossAttention(D, C, 6, num_kv_heads=3),
}
CACHED = ("causal", "GQA", "rotary GQA", "partly rotary")


@pytest.fixture
def layer(request, rng) -> MultiHeadAttention:
    layer = VARIANTS[request.param]()
    layer.build()
    return randomize(layer, rng)


every_variant = pytest.mark.parametrize("layer", VARIANTS, indirect=True)
every_cached = pytest.mark.parametrize("layer", CACHED, indirect=True)


def data(layer: MultiHeadAttention, rng: np.random.Generator) -> tuple[dict, int]:
    """Inputs, and how many keys there are."""
    x = {"x": normal(rng, B, T, D)}
    return ({**x, "context": normal(rng, B, S, C)}, S) if layer.context_dim else (x, T)


@every_variant
def test_equals_definition(layer, rng):
    inputs, _ = data(layer, rng)
    expected, expected_weights = reference(layer, **inputs)
    np.testing.assert_allclose(layer(**inputs), expected, atol=1e-4)
    output, weights = layer(**inputs, return_attention=True)
    np.testing.assert_allclose(output, expected, atol=1e-4)
    np.testing.assert_allclose(weights, expected_weights, atol=1e-5)


@every_variant
def test_masks_of_every_rank_and_bias(layer, rng):
    inputs, keys = data(layer, rng)
    bias = normal(rng, layer.num_heads, T, keys)
    for shape in ((B, keys), (B, T, keys), (B, layer.num_heads, T, keys)):
        mask = rng.random(shape) < 0.6
        mask[..., 0] = True
        full = mask.reshape({2: (B, 1, 1, keys), 3: (B, 1, T, keys), 4: shape}[len(shape)])
        expected, _ = reference(layer, **inputs, mask=full, bias=bias)
        for given in (mask, mask.astype("int32"), 1.0 * mask):
            np.testing.assert_allclose(layer(**inputs, attention_mask=given, bias=bias), expected, atol=1e-4)


@pytest.mark.parametrize("layer", ["rotary", "rotary GQA", "partly rotary"], indirect=True)
def test_rotary_positions_as_given(layer, rng):
    x = normal(rng, B, T, D)
    for positions in (np.array([3, 1, 4, 15, 9]), np.array([[0, 1, 2, 3, 4], [7, 5, 3, 2, 11]])):
        expected, _ = reference(layer, x, positions=positions)
        np.testing.assert_allclose(layer(x, positions=positions), expected, atol=1e-4)
    np.testing.assert_allclose(layer(x, positions=np.arange(T) + 29), layer(x), atol=1e-4)


@every_cached
@pytest.mark.parametrize("masked", [False, True])
def test_step_by_step_equals_the_full_pass(layer, masked, rng):
    """With positions left free in the cache, and a row whose first two positions are padding."""
    x, length = normal(rng, B, S, D), S + 4
    mask = np.ones((B, length), bool)
    mask[1, :2] = not masked
    expected, expected_weights = layer(x, attention_mask=mask[:, :S], return_attention=True)
    cache = layer.init_cache(B, length)
    start = 0
    for step in (4, 1, 1, 1):
        part = slice(start, start + step)
        output, weights, cache = layer(x[:, part], attention_mask=mask, cache=cache, return_attention=True)
        only, _ = layer(x[:, part], attention_mask=mask, cache=cache._replace(index=cache.index - step))
        start += step
        np.testing.assert_allclose(output, expected[:, part], atol=1e-5)
        np.testing.assert_allclose(only, expected[:, part], atol=1e-5)
        np.testing.assert_allclose(weights[..., :S], expected_weights[:, :, part], atol=1e-5)
        assert not numpy(weights)[..., start:].any()
    assert int(cache.index) == S
    assert cache.key.shape == (B, layer.num_kv_heads, length, layer.head_dim)


@pytest.mark.parametrize("layer", ["MHA", "rotary"], indirect=True)
def test_without_causality_a_cached_position_sees_all_that_is_there(layer, rng):
    x = normal(rng, B, S, D)
    cache = layer.init_cache(B, S + 4)
    output, cache = layer(x[:, :T], cache=cache)
    np.testing.assert_allclose(output, layer(x[:, :T]), atol=1e-5)
    output, cache = layer(x[:, T:], cache=cache)
    np.testing.assert_allclose(output, layer(x)[:, T:], atol=1e-5)


@pytest.mark.parametrize("layer", ["cross", "cross GQA"], indirect=True)
def test_context_projected_once(layer, rng):
    x, context = normal(rng, B, T, D), normal(rng, B, S, C)
    mask = np.arange(S) < np.array([[4], [S]])
    cache = layer.project_context(context)
    output, same = layer(x, attention_mask=mask, cache=cache)
    np.testing.assert_allclose(output, layer(x, context, attention_mask=mask), atol=1e-6)
    assert same.key is cache.key and same.value is cache.value and int(same.index) == S


def test_dropout_in_training_only(rng):
    layer = MultiHeadAttention(D, 3, dropout=0.5)
    x = normal(rng, B, T, D)
    quiet = numpy(layer(x))
    np.testing.assert_array_equal(layer(x, training=False), quiet)
    first, second = numpy(layer(x, training=True)), numpy(layer(x, training=True))
    assert not np.allclose(first, quiet) and not np.allclose(first, second)


def test_compiled_predict_has_free_batch_and_length(rng):
    x = keras.Input((None, D))
    layer = GroupedQueryAttention(D, 6, 3, causal=True, rope_theta=100.0, head_dim=4)
    model = keras.Model(x, layer(x))
    for shape in ((2, 5), (3, 7)):
        given = normal(rng, *shape, D)
        np.testing.assert_allclose(model.predict(given, verbose=0), layer(given), atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MultiHeadAttention(16, 3), "`d_model` must be a multiple of `num_heads`"),
        (lambda: MultiHeadAttention(18, 6, 4), "`num_heads` must be a multiple of `num_kv_heads`"),
        (lambda: MultiHeadAttention(18, 0), "`num_heads` must be a whole number"),
        (lambda: MultiHeadAttention(18.0, 3), "`d_model` must be a whole number"),
        (lambda: MultiHeadAttention(18, 3, head_dim=0), "`head_dim` must be"),
        (lambda: MultiHeadAttention(18, 3, 0), "`num_kv_heads` must be"),
        (lambda: MultiHeadAttention(18, 3, dropout=1.0), "`dropout` must be a rate"),
        (lambda: MultiHeadAttention(15, 3, rope_theta=1e4), "heads of width 5 have one too many.*`d_model`"),
        (lambda: GroupedQueryAttention(15, 4, 2), "`dim` must be a multiple of `num_heads`; got dim=15"),
        (lambda: MultiQueryAttention(0, 4), "`dim` must be a whole number"),
        (lambda: CrossAttention(15, 11, 4), "`dim` must be a multiple"),
        (lambda: CrossAttention(18, 11, 3, causal=True), "neither `causal` nor rotary|neither.*causal"),
        (lambda: CrossAttention(18, 11, 3, rope_theta=1e4), "rotary"),
    ],
)
def test_errors_at_construction(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, "float32")


@pytest.mark.parametrize(
    ("variant", "inputs", "message"),
    [
        ("MHA", {"x": ones(T, D)}, "`x` must be"),
        ("MHA", {"x": ones(B, T, D + 1)}, "last axis of `x` must be 18"),
        ("MHA", {"x": ones(B, T, D), "context": ones(B, S, D)}, "`context` is for cross attention"),
        ("MHA", {"x": ones(B, T, D), "attention_mask": ones(B, T + 1)}, "`mask` of shape"),
        ("MHA", {"x": ones(B, T, D), "attention_mask": ones(T)}, "`attention_mask` must be"),
        ("MHA", {"x": ones(B, T, D), "bias": ones(4, T, T)}, "`bias` of shape"),
        ("cross", {"x": ones(B, T, D)}, "needs `context`"),
        ("cross", {"x": ones(B, T, D), "context": ones(B, S, D)}, "last axis of `context` must be 11"),
        ("cross", {"x": ones(B, T, D), "context": ones(S, C)}, "`context` must be"),
    ],
)
def test_errors_at_call(variant, inputs, message):
    with pytest.raises(ValueError, match=message):
        VARIANTS[variant]()(**inputs)


def test_errors_of_the_cache():
    layer = VARIANTS["causal"]()
    with pytest.raises(ValueError, match="5 positions do not fit into a cache of 4"):
        layer(ones(B, T, D), cache=layer.init_cache(B, 4))
    with pytest.raises(ValueError, match="`project_context` is for cross attention"):
        layer.project_context(ones(B, S, C))
