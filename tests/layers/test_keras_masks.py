"""Keras's masks, as `mask_zero` and `Masking` make them: nobody looks at padding, and the layers after know of it."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
from helpers import normal, numpy, randomize
from keras import ops

from keras_tx import layers

D, H, LENGTHS = 12, 3, (6, 4)
IDS = np.array([[3, 1, 4, 1, 5, 9], [2, 6, 5, 3, 0, 0]], "int32")
SELF_ATTENTION = {
    "multi_head": lambda: layers.MultiHeadAttention(D, H),
    "causal": lambda: layers.MultiHeadAttention(D, H, causal=True, rope_theta=10.0),
    "grouped_query": lambda: layers.GroupedQueryAttention(D, H, 1),
    "multi_query": lambda: layers.MultiQueryAttention(D, H),
    "sliding_window": lambda: layers.SlidingWindowAttention(D, H, window_size=3),
    "longformer": lambda: layers.LongformerAttention(D, H, attention_window=2),
    "block_sparse": lambda: layers.BlockSparseAttention(D, H, block_size=2),
    "linear": lambda: layers.LinearAttention(D, H),
    "linformer": lambda: layers.LinformerAttention(D, H, 6, 3),
    "relative": lambda: layers.RelativePositionAttention(D, H, 2),
    "disentangled": lambda: layers.DisentangledAttention(D, H, 3),
    "transformer_xl": lambda: layers.TransformerXLAttention(D, H, causal=False),
    "latent": lambda: layers.LatentAttention(D, H, 5, causal=False),
    "block": lambda: layers.TransformerBlock(D, H, 17),
    "block_post_norm": lambda: layers.TransformerBlock(D, H, 17, norm_position="post", experts={"num_experts": 3}),
    "encoder": lambda: layers.TransformerEncoder(2, D, H, 17),
    "encoder_pre_norm": lambda: layers.TransformerEncoder(2, D, H, 17, norm_position="pre", layer_scale=0.5),
}


@pytest.fixture(autouse=True)
def no_mask_is_lost():
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*was passed an input with a mask")
        yield


def embedding(rng, **options):
    table = layers.TokenEmbedding(10, D, **options)
    table.build()
    return randomize(table, rng, scale=1.0)


def built(layer, rng):
    layer.build((None, None, D))
    return randomize(layer, rng)


@pytest.mark.parametrize("name", SELF_ATTENTION)
def test_padding_is_left_out_and_passed_on(name, rng):
    table, layer = embedding(rng, mask_zero=True), built(SELF_ATTENTION[name](), rng)
    ids = keras.Input((None,), dtype="int32")
    model = keras.Sequential([ids, table, layer, keras.layers.GlobalAveragePooling1D()])
    whole = numpy(layer(table(IDS)))
    for row, length in enumerate(LENGTHS):
        alone = numpy(layer(table(IDS[row : row + 1, :length])))[0]
        np.testing.assert_allclose(whole[row, :length], alone, atol=1e-5)
        np.testing.assert_allclose(numpy(model(IDS))[row], alone.mean(axis=0), atol=1e-5)


@pytest.mark.parametrize("name", ["multi_head", "linear", "latent", "encoder"])
def test_beside_an_attention_mask(name, rng):
    """Keras gives the mask by another name where there is more than one tensor."""
    table, layer = embedding(rng, mask_zero=True), built(SELF_ATTENTION[name](), rng)
    seen = np.array([[0, 1, 1, 1, 1, 1]] * 2)
    both = layer(embedding_without_mask(table), attention_mask=seen * (IDS != 0))
    np.testing.assert_allclose(numpy(layer(table(IDS), attention_mask=seen)), numpy(both), atol=1e-6)


def embedding_without_mask(table):
    return ops.convert_to_tensor(numpy(table(IDS)))


def test_as_keras_own_attention(rng):
    """With the same weights, over a functional model, compiled."""
    inputs = keras.Input((6, D))
    masked = keras.layers.Masking()(inputs)
    ours, theirs = layers.MultiHeadAttention(D, H), keras.layers.MultiHeadAttention(H, D // H)
    model = keras.Model(inputs, [ours(masked), theirs(masked, masked)])
    randomize(ours, rng)
    for name in ("query", "key", "value", "output"):
        own = getattr(ours, "output_projection" if name == "output" else name)
        for weight, values in zip(getattr(theirs, f"_{name}_dense").weights, own.weights, strict=True):
            weight.assign(numpy(values).reshape(weight.shape))
    x = normal(rng, 2, 6, D)
    x[1, 4:] = 0.0
    have, want = model.predict(x, verbose=0)
    for row, length in enumerate(LENGTHS):
        np.testing.assert_allclose(have[row, :length], want[row, :length], atol=1e-5)


def test_a_context_and_a_decoder(rng):
    table, x = embedding(rng, mask_zero=True), normal(rng, 2, 5, D)
    cross = built(layers.CrossAttention(D, D, H), rng)
    decoder = built(layers.TransformerDecoder(2, D, H, 17), rng)
    pooling = built(layers.AttentionPooling(D, H, 17), rng)
    for call in (cross, decoder, lambda x, context: pooling(context)):
        want = call(x[1:], table(IDS[1:, :4]))
        np.testing.assert_allclose(numpy(call(x, table(IDS)))[1], numpy(want)[0], atol=1e-5)


def test_a_memory(rng):
    table, layer = embedding(rng, mask_zero=True), built(layers.TransformerXLAttention(D, H), rng)
    x, real = normal(rng, 2, 3, D), np.concatenate([IDS != 0, np.ones((2, 3), bool)], axis=1)
    want = layer(x, embedding_without_mask(table), attention_mask=real)
    np.testing.assert_allclose(numpy(layer(x, table(IDS))), numpy(want), atol=1e-6)


@pytest.mark.parametrize("make", [lambda: layers.PositionalEncoding(D), lambda: layers.SwiGLU(D, 17)])
def test_what_looks_at_one_position_passes_masks_on(make, rng):
    table, layer = embedding(rng, mask_zero=True), built(make(), rng)
    pooled = keras.layers.GlobalAveragePooling1D()(layer(table(IDS)))
    np.testing.assert_allclose(numpy(pooled)[1], numpy(layer(table(IDS)))[1, :4].mean(axis=0), atol=1e-6)


def test_only_the_output_of_a_dict_has_the_mask(rng):
    encoder = built(layers.TransformerEncoder(2, D, H, 17), rng)
    outputs = encoder(embedding(rng, mask_zero=True)(IDS), return_attention=True)
    pool = keras.layers.GlobalAveragePooling1D()
    np.testing.assert_allclose(
        numpy(pool(outputs["output"]))[1], numpy(outputs["output"])[1, :4].mean(axis=0), atol=1e-6
    )
    map = outputs["attentions"][0][:, 0]
    np.testing.assert_allclose(numpy(pool(map)), numpy(map).mean(axis=1), atol=1e-6)


def test_with_a_cache_the_slots_are_masked(rng):
    layer = built(layers.MultiHeadAttention(D, H, causal=True), rng)
    with pytest.raises(ValueError, match="with a `cache` give `attention_mask`"):
        layer(embedding(rng, mask_zero=True)(IDS), cache=layer.init_cache(2, 8))
