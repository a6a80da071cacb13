"""Latent attention against DeepSeek-V2's equations; decoding from latents alone."""

from functools import partial

import numpy as np
import pytest
from attention_helpers import decoded, output, project, soft
from helpers import assert_layer_is, normal, numpy, randomize

from keras_tx.layers import LatentAttention
from keras_tx.ops.attention import masks

B, T, D, H, C, W, R, V, Q = 2, 7, 14, 3, 11, 5, 4, 6, 9
"""Batch, positions, width, heads; widths of the latent, of a head, of its rotary part, of its values, of queries."""

VARIANTS = {
    "causal": {},
    "both sides": {"causal": False},
    "a latent for queries": {"query_dim": Q, "rope_theta": 50.0},
}


def make(name: str, rng: np.random.Generator) -> LatentAttention:
    layer = LatentAttention(D, H, C, head_dim=W, rotary_dim=R, value_dim=V, **VARIANTS[name])
    layer.build()
    return randomize(layer, rng)


def definition(w, x, *, allowed, base):
    """DeepSeek-V2 2024, equations 9 to 19 (with RMS norms on latents, as its appendix has them)."""
    import jax.numpy as jnp

    def norm(y, name):
        return y / jnp.sqrt((y**2).mean(axis=-1, keepdims=True) + 1e-6) * w[f"{name}/scale"]

    def turned(y):
        angles = np.arange(T)[:, None] * base ** (-np.arange(R // 2) / (R // 2))
        first, second = y[..., : R // 2], y[..., R // 2 :]
        cos, sin = np.cos(angles), np.sin(angles)
        return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)

    latent = x @ w["latent/kernel"]
    key_turned = turned(latent[:, None, :, C:])
    both = project(w, "key_value", norm(latent[..., :C], "latent_norm"), H)
    source = norm(x @ w["query_latent/kernel"], "query_norm") if "query_latent/kernel" in w else x
    query = project(w, "query", source, H)
    scores = query[..., :W] @ both[..., :W].swapaxes(2, 3) + turned(query[..., W:]) @ key_turned.swapaxes(2, 3)
    return output(w, soft(scores / (W + R) ** 0.5, allowed) @ both[..., W:])


@pytest.mark.parametrize("name", VARIANTS)
def test_equals_definition_and_its_gradients(name, rng):
    layer, x, mask = make(name, rng), normal(rng, B, T, D), rng.random((B, T)) < 0.7
    mask[0] = False
    allowed = mask[:, None, None] & (np.tri(T, dtype=bool) if layer.causal else True)
    assert_layer_is(layer, partial(definition, allowed=allowed, base=layer.rope_theta), x, attention_mask=mask)


def test_segments_and_masks_as_functions_of_positions_with_and_without_a_cache(rng):
    layer, x = make("causal", rng), normal(rng, B, T, D)
    segments = np.array([[0, 0, 0, 1, 1, 1, 1], [3, 3, 3, 3, 3, 2, 2]], "int32")
    at = np.arange(T)
    seen = (at[:, None] - at < 3) & (segments[:, :, None] == segments[:, None])
    options = {"attention_mask": lambda query, key: masks.window(query, key, 3), "segments": segments}
    expected = layer(x, attention_mask=seen)
    np.testing.assert_allclose(layer(x, **options), expected, atol=1e-6)
    first, cache = layer(x[:, :4], cache=layer.init_cache(B, T), **options)
    last, _ = layer(x[:, 4:], cache=cache, **options)
    np.testing.assert_allclose(np.concatenate([first, last], axis=1), expected, atol=2e-5)


@pytest.mark.parametrize("name", ["causal", "a latent for queries"])
def test_decoding_from_latents_equals_the_full_pass(name, rng):
    layer, x = make(name, rng), normal(rng, B, T, D)
    mask = np.ones((B, T + 2), bool)
    mask[1, :2] = False
    cache = layer.init_cache(B, T + 2)
    assert cache.latent.shape == (B, 1, T + 2, C + R)
    np.testing.assert_allclose(decoded(layer, x, (4, 1, 2), mask), layer(x, attention_mask=mask[:, :T]), atol=2e-5)
    _, weights, _ = layer(x, attention_mask=mask, cache=cache, return_attention=True)
    _, expected = layer(x, attention_mask=mask[:, :T], return_attention=True)
    np.testing.assert_allclose(weights[..., :T], expected, atol=1e-5)


def test_positions_and_biases(rng):
    layer, x = make("causal", rng), normal(rng, B, T, D)
    plain = numpy(layer(x))
    np.testing.assert_allclose(layer(x, positions=np.arange(T) + 29), plain, atol=1e-4)
    assert not np.allclose(layer(x, positions=np.arange(T)[::-1].copy()), plain, atol=1e-3)
    assert not np.allclose(layer(x, bias=normal(rng, H, T, T)), plain, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent_dim": 0}, "`latent_dim` must be a whole number of at least 1; got 0"),
        ({"latent_dim": 5, "rotary_dim": 3}, "`rotary_dim` must be even.*; got 3"),
        ({"latent_dim": 5, "num_heads": 4}, "`dim` must be a multiple of `num_heads`.*got 14 and 4"),
        ({"latent_dim": 5, "dropout": 1.5}, "`dropout` must be a rate"),
    ],
)
def test_errors_at_construction(options, message):
    with pytest.raises(ValueError, match=message):
        LatentAttention(**{"dim": D, "num_heads": 2, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention_mask": np.ones((B, T + 1), bool)}, "`mask` of shape"),
        ({"context": np.ones((B, T, D), "float32")}, "`context` has no meaning"),
    ],
)
def test_errors_at_call(options, message):
    layer, x = LatentAttention(D, 2, 5), np.ones((B, T, D), "float32")
    with pytest.raises(ValueError, match=message):
        layer(x, **options)
    with pytest.raises(ValueError, match="7 positions do not fit into a cache of 4"):
        layer(x, cache=layer.init_cache(B, 4))
