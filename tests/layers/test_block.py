"""The block against NumPy, branch by branch; its cache; dropout and drop path."""

import numpy as np
import pytest
from helpers import attend, dense, gelu, layer_norm, normal, numpy, randomize

from keras_tx.layers import DropPath, FeedForward, TransformerBlock

B, T, S, D, C = 2, 5, 7, 15, 11


def attention(layer, x, source, mask=None) -> np.ndarray:
    projected = dense(layer.query, x), dense(layer.key, source), dense(layer.value, source)
    heads = (y.reshape(len(y), -1, layer.num_heads, layer.head_dim).swapaxes(1, 2) for y in projected)
    output, _ = attend(*heads, mask=mask)
    return dense(layer.output_projection, output.swapaxes(1, 2).reshape(x.shape))


def feed_forward(layer, x, activation) -> np.ndarray:
    return dense(layer.down, activation(dense(layer.up, x)))


def norm(layer, x) -> np.ndarray:
    return layer_norm(x, numpy(layer.gamma), numpy(layer.beta), layer.epsilon)


@pytest.fixture
def make(rng):
    def make(**options) -> TransformerBlock:
        block = TransformerBlock(D, 3, 29, **options)
        block.build()
        return randomize(block, rng)

    return make


def test_pre_norm(make, rng):
    block, x = make(causal=True, activation="gelu", norm_epsilon=1e-3), normal(rng, B, T, D)
    y = norm(block.attention_norm, x)
    expected = x + attention(block.attention, y, y, np.tri(T, dtype=bool))
    expected = expected + feed_forward(block.feed_forward, norm(block.feed_forward_norm, expected), gelu)
    np.testing.assert_allclose(block(x), expected, atol=1e-4)


def test_post_norm(make, rng):
    block, x = make(norm_position="post"), normal(rng, B, T, D)
    expected = norm(block.attention_norm, x + attention(block.attention, x, x))
    y = feed_forward(block.feed_forward, expected, lambda y: np.maximum(y, 0))
    np.testing.assert_allclose(block(x), norm(block.feed_forward_norm, expected + y), atol=1e-4)


def test_rms_norms_a_gate_and_heads_of_another_width(make, rng):
    options = {"head_dim": 7, "scale": 0.7, "use_bias": False, "activation": "gelu", "gated": True}
    block, x = make(norm="rms", norm_epsilon=1e-3, **options), normal(rng, B, T, D)

    def rms_norm(layer, x):
        return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-3) * numpy(layer.scale)

    layer, y = block.attention, rms_norm(block.attention_norm, x)
    heads = [dense(part, y).reshape(B, T, 3, 7).swapaxes(1, 2) for part in (layer.query, layer.key, layer.value)]
    output, _ = attend(*heads, scale=0.7)
    expected = x + dense(layer.output_projection, output.swapaxes(1, 2).reshape(B, T, 21))
    layer, y = block.feed_forward, rms_norm(block.feed_forward_norm, expected)
    expected = expected + dense(layer.down, gelu(dense(layer.gate, y)) * dense(layer.up, y))
    np.testing.assert_allclose(block(x), expected, atol=1e-4)


def test_scaled_branches_and_normalized_queries_and_keys(make, rng):
    """Each branch is scaled before it is added; each head's queries and keys are normalized by themselves."""
    block, x = make(qk_norm=True, qkv_bias=False, layer_scale=0.3, norm_epsilon=1e-3), normal(rng, B, T, D)
    layer, y = block.attention, norm(block.attention_norm, x)
    assert not layer.query.use_bias and not layer.value.use_bias and layer.output_projection.use_bias
    heads = [dense(part, y).reshape(B, T, 3, 5).swapaxes(1, 2) for part in (layer.query, layer.key, layer.value)]
    output, _ = attend(norm(layer.query_norm, heads[0]), norm(layer.key_norm, heads[1]), heads[2])
    branch = dense(layer.output_projection, output.swapaxes(1, 2).reshape(x.shape))
    expected = x + branch * numpy(block.attention_scale.gamma)
    branch = feed_forward(block.feed_forward, norm(block.feed_forward_norm, expected), lambda y: np.maximum(y, 0))
    np.testing.assert_allclose(block(x), expected + branch * numpy(block.feed_forward_scale.gamma), atol=1e-4)
    fresh = TransformerBlock(D, 3, layer_scale=0.3)
    fresh.build()
    np.testing.assert_array_equal(fresh.feed_forward_scale.gamma, np.full(D, 0.3, "float32"))


def test_normalized_keys_in_a_cache(make, rng):
    block, x = make(qk_norm=True, causal=True), normal(rng, B, T, D)
    expected, cache = block(x), block.init_cache(B, T)
    for t in range(T):
        y, cache = block(x[:, t : t + 1], cache=cache)
        np.testing.assert_allclose(y[:, 0], expected[:, t], atol=1e-5)


@pytest.mark.parametrize("position", ["pre", "post"])
def test_cross_attention_stands_between(make, rng, position):
    block = make(norm_position=position, causal=True, context_dim=C)
    x, context, pre = normal(rng, B, T, D), normal(rng, B, S, C), position == "pre"
    mask = np.arange(S) < np.array([[4], [S]])
    branches = (
        (block.attention_norm, lambda y: attention(block.attention, y, y, np.tri(T, dtype=bool))),
        (block.cross_attention_norm, lambda y: attention(block.cross_attention, y, context, mask[:, None, None])),
        (block.feed_forward_norm, lambda y: feed_forward(block.feed_forward, y, lambda y: np.maximum(y, 0))),
    )
    expected = x
    for layer, branch in branches:
        expected = expected + branch(norm(layer, expected)) if pre else norm(layer, expected + branch(expected))
    np.testing.assert_allclose(block(x, context, context_mask=mask), expected, atol=2e-4)


def test_attention_maps(make, rng):
    x, context = normal(rng, B, T, D), normal(rng, B, S, C)
    output, weights = make(causal=True)(x, return_attention=True)
    assert output.shape == (B, T, D) and weights.shape == (B, 3, T, T)
    assert not np.triu(numpy(weights), 1).any()
    _, (own, cross) = make(context_dim=C)(x, context, return_attention=True)
    assert own.shape == (B, 3, T, T) and cross.shape == (B, 3, T, S)
    for x in (weights, own, cross):
        np.testing.assert_allclose(numpy(x).sum(axis=-1), 1.0, atol=1e-5)


@pytest.mark.parametrize("position", ["pre", "post"])
@pytest.mark.parametrize("crossed", [False, True])
def test_step_by_step_equals_the_full_pass(make, rng, position, crossed):
    block = make(norm_position=position, causal=True, context_dim=C if crossed else None)
    x, context = normal(rng, B, S, D), normal(rng, B, T, C) if crossed else None
    expected = block(x, context)
    cache = block.init_cache(B, S + 4, context)
    start = 0
    for step in (5, 1, 1):
        part = slice(start, start + step)
        output, maps, cache = block(x[:, part], cache=cache, return_attention=True)
        start += step
        np.testing.assert_allclose(output, expected[:, part], atol=2e-5)
        assert isinstance(maps, tuple) == crossed
    assert int(cache.attention.index) == S


def test_feed_forward(rng):
    layer = FeedForward(D, 29, activation="gelu")
    layer.build()
    randomize(layer, rng)
    x = normal(rng, B, T, D)
    np.testing.assert_allclose(layer(x), feed_forward(layer, x, gelu), atol=1e-4)


def test_kernels_start_different_from_each_other():
    """One initializer object shared by several kernels would draw the same numbers for each."""
    block = TransformerBlock(D, 3, D, context_dim=D)
    block.build()
    kernels = [numpy(weight) for weight in block.trainable_weights if weight.name == "kernel"]
    assert len(kernels) == 10
    for i, kernel in enumerate(kernels):
        assert all(not np.allclose(kernel, other) for other in kernels[:i])


@pytest.mark.parametrize("option", ["dropout", "attention_dropout", "drop_path"])
def test_dropout_in_training_only(rng, option):
    block, x = TransformerBlock(D, 3, 29, **{option: 0.5}), normal(rng, 13, T, D)
    quiet = numpy(block(x))
    np.testing.assert_array_equal(block(x, training=False), quiet)
    first, second = numpy(block(x, training=True)), numpy(block(x, training=True))
    assert not np.allclose(first, quiet) and not np.allclose(first, second)


def test_drop_path_drops_whole_samples_and_keeps_the_mean():
    layer, x = DropPath(0.3, seed=3), np.ones((20011, 2, 3), "float32")
    np.testing.assert_array_equal(layer(x), x)
    y = numpy(layer(x, training=True))
    assert set(np.unique(y)) == {0.0, np.float32(1 / 0.7)}
    assert (y == y[:, :1, :1]).all()
    assert abs((y[:, 0, 0] == 0).mean() - 0.3) < 0.01
    np.testing.assert_array_equal(DropPath(0.0)(x, training=True), x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TransformerBlock(15, 3, norm_position="middle"), "`norm_position` must be"),
        (lambda: TransformerBlock(16, 3), "`d_model` must be a multiple"),
        (lambda: TransformerBlock(15, 3, attention_dropout=1.5), "`attention_dropout` must be a rate"),
        (lambda: TransformerBlock(15, 3, dropout=1.5), "`dropout` must be a rate"),
        (lambda: TransformerBlock(15, 3, drop_path=-0.1), "`drop_path` must be a rate"),
        (lambda: TransformerBlock(15, 3, activation="swish7"), "`activation` must be one of"),
        (lambda: FeedForward(15, 0), "`d_ff` must be"),
        (lambda: DropPath(1.0), "`rate` must be a rate"),
        (lambda: FeedForward(15, 29)(np.ones((B, T, 16))), "last axis of `x` must be 15"),
        (lambda: TransformerBlock(15, 3)(np.ones((B, T, 16))), "last axis of `x` must be 15"),
        (lambda: TransformerBlock(15, 3)(np.ones((T, 15))), "`x` must be"),
        (lambda: TransformerBlock(15, 3)(np.ones((B, T, 15)), np.ones((B, S, 15))), "`context` is for cross"),
        (lambda: TransformerBlock(15, 3, context_dim=11)(np.ones((B, T, 15))), "needs `context`"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
