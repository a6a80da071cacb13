"""Variants of softmax attention against what their papers say, in float64, outputs and gradients; and their caches."""

from functools import partial

import numpy as np
import pytest
from attention_helpers import decoded, output, project, soft
from helpers import assert_layer_is, normal, numpy, randomize

from keras_tx.layers import (
    DisentangledAttention,
    MultiHeadAttention,
    RelativePositionAttention,
    TransformerXLAttention,
)
from keras_tx.layers.attention.variant import AttentionVariant
from keras_tx.ops.attention import masks
from keras_tx.ops.attention.rotary import Rotary

B, T, M, D, H, K, W = 2, 5, 3, 14, 6, 3, 7
"""Batch, positions, remembered positions, width, heads, key/value heads, width of a head."""
SLOPES = np.array([2**-2.0, 2**-4.0, 2**-6.0, 2**-8.0, 2**-1.0, 2**-3.0])
"""Of ALiBi's six heads: those of four, then every other one of eight."""


def repeated(x):
    return x.repeat(H // x.shape[1], axis=1)


def plain(w, x, *, allowed, offsets=None, cap=None, rms=False):
    """What is added to Vaswani et al.'s by ALiBi, Gemma 2's cap, gpt-oss's sinks and Gemma 3's norm."""
    import jax.numpy as jnp

    query, key, value = (project(w, name, x, H if name == "query" else K) for name in ("query", "key", "value"))
    if rms:
        query, key = (
            y / jnp.sqrt((y**2).mean(axis=-1, keepdims=True) + 1e-5) * w[f"{name}_norm/scale"]
            for name, y in (("query", query), ("key", key))
        )
    scores = query @ repeated(key).swapaxes(2, 3) / W**0.5
    scores = scores if cap is None else cap * jnp.tanh(scores / cap)
    scores = scores if offsets is None else scores - SLOPES[:, None, None] * abs(offsets)
    return output(w, soft(scores, allowed, w.get("sink_scores")) @ repeated(value))


def shaw(w, x, *, allowed, offsets, farthest):
    """Shaw et al. 2018, equations 3 and 4."""
    import jax.numpy as jnp

    query, key, value = (project(w, name, x, H if name == "query" else K) for name in ("query", "key", "value"))
    rows = np.clip(offsets, -farthest, farthest) + farthest
    scores = jnp.einsum("bhtd,bhtsd->bhts", query, repeated(key)[:, :, None] + w["key_table"][rows]) / W**0.5
    values = repeated(value)[:, :, None]
    values = values + w["value_table"][rows] if "value_table" in w else values
    return output(w, jnp.einsum("bhts,bhtsd->bhtd", soft(scores, allowed), values + jnp.zeros((T, 1, 1))))


def transformer_xl(w, x, memory, *, allowed, offsets):
    """Dai et al. 2019, section 3.3."""
    import jax
    import jax.numpy as jnp

    source = jnp.concatenate([jax.lax.stop_gradient(memory), x], axis=1)
    query = project(w, "query", x, H)
    key, value = (repeated(project(w, name, source, K)) for name in ("key", "value"))
    angles = -offsets[..., None] / 10000 ** (np.arange(0, D, 2) / D)
    sinusoids = np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(*offsets.shape, D)
    distance = (sinusoids @ w["position/kernel"]).reshape(*offsets.shape, H, W)
    scores = jnp.einsum("bhtd,bhsd->bhts", query + w["content_bias"], key)
    scores = (scores + jnp.einsum("bhtd,tshd->bhts", query + w["position_bias"], distance)) / W**0.5
    return output(w, soft(scores, allowed) @ value)


BUCKETS = {0: 0, 1: 1, 2: 2, 3: 3, 4: 3}
"""Of distances, where 4 are told apart in a direction, the last two by their logarithms up to 9."""


def disentangled(w, x, table=None, *, allowed, offsets, span, terms=("c2p", "p2c"), shared=False, buckets=False):
    """He et al. 2021, equations 2 to 4; `offsets` are the key's position less the query's."""
    import jax.numpy as jnp

    query, key, value = (project(w, name, x, H) for name in ("query", "key", "value"))
    told = np.vectorize(lambda far: np.sign(-far) * BUCKETS[abs(far)])(offsets) if buckets else -offsets
    rows = np.clip(told + span, 0, 2 * span - 1)
    table = (w["table"] if table is None else table)[None]
    scores = query @ key.swapaxes(2, 3)
    if "c2p" in terms:
        vectors = project(w, "key" if shared else "position_key", table, H)[0]
        scores = scores + jnp.einsum("bhtd,htsd->bhts", query, vectors[:, rows])
    if "p2c" in terms:
        vectors = project(w, "query" if shared else "position_query", table, H)[0]
        scores = scores + jnp.einsum("bhsd,htsd->bhts", key, vectors[:, rows])
    return output(w, soft(scores / (W * (1 + len(terms))) ** 0.5, allowed) @ value)


def offsets(remembered: int = 0) -> np.ndarray:
    """The key's position less the query's."""
    return np.arange(remembered + T) - (remembered + np.arange(T))[:, None]


def multi_head(**options) -> MultiHeadAttention:
    return MultiHeadAttention(D, H, K, head_dim=W, **options)


def relative(**options) -> RelativePositionAttention:
    return RelativePositionAttention(D, H, 2, K, head_dim=W, **options)


def deberta(*sizes, **options) -> DisentangledAttention:
    return DisentangledAttention(D, H, *sizes, head_dim=W, **options)


def xl(**options) -> TransformerXLAttention:
    return TransformerXLAttention(D, H, K, head_dim=W, **options)


VARIANTS = {
    "ALiBi": (partial(multi_head, alibi=True), partial(plain, offsets=offsets())),
    "soft cap": (partial(multi_head, soft_cap=0.7), partial(plain, cap=0.7)),
    "sinks": (partial(multi_head, sinks=True), plain),
    "sinks by chunks": (partial(multi_head, sinks=True, soft_cap=0.7, chunk_size=2), partial(plain, cap=0.7)),
    "RMS norm": (partial(multi_head, qk_norm="rms"), partial(plain, rms=True)),
    "all of them": (
        partial(multi_head, alibi=True, soft_cap=0.7, sinks=True, qk_norm="rms"),
        partial(plain, offsets=offsets(), cap=0.7, rms=True),
    ),
    "Shaw": (relative, partial(shaw, offsets=offsets(), farthest=2)),
    "Shaw, keys alone": (partial(relative, relative_values=False), partial(shaw, offsets=offsets(), farthest=2)),
    "Transformer-XL": (xl, partial(transformer_xl, offsets=offsets(M))),
    "DeBERTa": (partial(deberta, 9, 4), partial(disentangled, offsets=offsets(), span=4, buckets=True)),
    "DeBERTa, offsets": (
        partial(deberta, 3, pos_att_type=["p2c"]),
        partial(disentangled, offsets=offsets(), span=3, terms=("p2c",)),
    ),
    "DeBERTa, shared maps": (
        partial(deberta, 3, share_att_key=True),
        partial(disentangled, offsets=offsets(), span=3, shared=True),
    ),
}


def make(name: str, rng: np.random.Generator, **options) -> MultiHeadAttention:
    layer = VARIANTS[name][0](**options)
    layer.build()
    return randomize(layer, rng)


def hidden(rng: np.random.Generator, keys: int) -> np.ndarray:
    """A mask under which one query sees nothing."""
    mask = rng.random((B, T, keys)) < 0.7
    mask[0, 2] = False
    return mask


@pytest.mark.parametrize(
    ("name", "causal"),
    [*((name, True) for name in VARIANTS), *((name, False) for name in ("ALiBi", "Shaw", "Transformer-XL", "DeBERTa"))],
)
def test_equals_definition_and_its_gradients(name, causal, rng):
    layer = make(name, rng, causal=causal)
    arrays = [normal(rng, B, T, D)]
    if name == "Transformer-XL":
        arrays.append(normal(rng, B, M, D))
    keys = sum(x.shape[1] for x in arrays)
    mask = hidden(rng, keys)
    allowed = mask & (np.tri(T, keys, keys - T, dtype=bool) if causal else True)
    definition = partial(VARIANTS[name][1], allowed=allowed[:, None])
    assert_layer_is(layer, definition, *arrays, attention_mask=mask)


@pytest.mark.parametrize("name", VARIANTS)
def test_step_by_step_equals_the_full_pass(name, rng):
    layer, x = make(name, rng, causal=True), normal(rng, B, T, D)
    expected = layer(x)
    cache, start = layer.init_cache(B, T + 2), 0
    for step in (4, 1):
        found, cache = layer(x[:, start : start + step], cache=cache)
        np.testing.assert_allclose(found, expected[:, start : start + step], atol=2e-5)
        start += step


def test_vectors_of_relative_positions_that_layers_share(rng):
    layer = deberta(2, pos_att_type=("c2p",), own_table=False)
    layer.build()
    x, table = normal(rng, B, T, D), normal(rng, 4, D)
    allowed = hidden(rng, T)
    definition = partial(disentangled, allowed=allowed[:, None], offsets=offsets(), span=2, terms=("c2p",))
    assert_layer_is(randomize(layer, rng), definition, x, table, attention_mask=allowed)
    with pytest.raises(ValueError, match=r"`relative_embeddings` .* `own_table` is False: give it, or make the layer"):
        layer(x)
    with pytest.raises(ValueError, match=r"`relative_embeddings` must have shape \(4, 14\); got \(6, 14\)"):
        layer(x, normal(rng, 6, D))
    with pytest.raises(ValueError, match="`own_table` is True: leave it out"):
        make("DeBERTa", rng)(x, table)


def test_vectors_of_relative_positions_are_dropped(rng):
    layer = randomize(deberta(2, position_dropout=0.5), rng)
    x = normal(rng, B, T, D)
    assert not np.allclose(layer(x, training=True), layer(x), atol=1e-3)


def test_memory_is_what_came_before(rng):
    layer, x = make("Transformer-XL", rng), normal(rng, B, M + T, D)
    _, full = layer(x, return_attention=True)
    found, weights = layer(x[:, M:], x[:, :M], return_attention=True)
    np.testing.assert_allclose(found, layer(x)[:, M:], atol=2e-5)
    np.testing.assert_allclose(weights, full[:, :, M:], atol=2e-5)


def function(query, key):
    """Of positions: back, and near or at the start."""
    near = masks.either(masks.window(query, key, 2), masks.first(query, key, 1))
    return masks.combine(masks.causal(query, key), near)


@pytest.mark.parametrize("name", ["sinks", "Transformer-XL"])
@pytest.mark.parametrize("given", ["window", "prefix", "prefix of each", "dilated", "segments"])
def test_masks_as_functions_of_positions_with_and_without_a_cache(name, given, rng):
    layer, x = make(name, rng, causal=not given.startswith("prefix")), normal(rng, B, T, D)
    segments = np.array([[0, 0, 1, 1, 1], [4, 4, 4, 4, 2]], "int32")
    at = np.arange(T)
    triangle, far = at[:, None] >= at, at[:, None] - at
    options, expected = {
        "window": ({"attention_mask": function}, triangle & ((abs(far) < 2) | (at < 1))),
        "prefix": ({"attention_mask": lambda q, k: masks.prefix(q, k, 3)}, triangle | (at < 3)),
        "prefix of each": (
            {"attention_mask": lambda q, k: masks.prefix(q, k, np.array([3, 2]))},
            triangle | (at < np.array([3, 2])[:, None, None]),
        ),
        "dilated": ({"attention_mask": lambda q, k: masks.dilated(q, k, 2)}, triangle & (far % 2 == 0)),
        "segments": ({"segments": segments}, triangle & (segments[:, :, None] == segments[:, None])),
    }[given]
    expected = layer(x, attention_mask=np.broadcast_to(expected, (B, T, T)))
    np.testing.assert_allclose(layer(x, **options), expected, atol=1e-6)
    cache = layer.init_cache(B, T)
    first, cache = layer(x[:, :3], cache=cache, **options)
    last, _ = layer(x[:, 3:], cache=cache, **options)
    np.testing.assert_allclose(np.concatenate([first, last], axis=1), expected, atol=2e-5)


def test_segments_reach_into_the_memory(rng):
    layer, x, memory = make("Transformer-XL", rng), normal(rng, B, T, D), normal(rng, B, M, D)
    segments = np.array([[0, 0, 1, 1, 1, 2, 2, 2], [4, 4, 4, 4, 4, 4, 4, 4]], "int32")
    seen = segments[:, M:, None] == segments[:, None]
    expected = layer(x, memory, attention_mask=seen)
    np.testing.assert_allclose(layer(x, memory, segments=segments), expected, atol=1e-6)


def test_positions_by_a_function_for_cross_attention(rng):
    layer = MultiHeadAttention(D, H, context_dim=D + 1, head_dim=W)
    x, context = normal(rng, B, T, D), normal(rng, B, M, D + 1)
    expected = layer(x, context, attention_mask=np.tile(np.tri(T, M, dtype=bool), (B, 1, 1)))
    np.testing.assert_allclose(layer(x, context, attention_mask=masks.causal), expected, atol=1e-6)
    cached, _ = layer(x, attention_mask=masks.causal, cache=layer.project_context(context))
    np.testing.assert_allclose(cached, expected, atol=1e-6)


def test_a_sink_takes_its_share(rng):
    layer = make("sinks", rng)
    _, weights = layer(normal(rng, B, T, D), return_attention=True)
    shares = numpy(weights).sum(axis=-1)
    assert shares.shape == (B, H, T) and ((shares > 0) & (shares < 1)).all()


class TwoSoftmaxes(AttentionVariant):
    """As differential attention (Ye et al. 2024) has two: another way to attend is `_attend` alone."""

    def _attend(self, query, key, value, mask, bias, cache, **asked):
        keys = self._meet((key, value), mask, cache, queries=query.shape[2])
        first, second = (self._softmax(x, keys, bias=bias, **asked) for x in (query, query[..., ::-1]))
        return first - 0.3 * second, keys.cache


def test_a_variant_of_two_softmaxes_needs_no_cache_of_its_own(rng):
    layer, x = TwoSoftmaxes(D, H, K, head_dim=W, causal=True, rotary=Rotary(dim=4)), normal(rng, B, T, D)
    layer.build()
    mask = np.ones((B, T + 2), bool)
    mask[1, :2] = False
    expected = numpy(randomize(layer, rng)(x, attention_mask=mask[:, :T]))
    np.testing.assert_allclose(decoded(layer, x, (2, 1, T - 3), mask), expected, atol=2e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: multi_head(soft_cap=0.0), "`soft_cap` must be above 0"),
        (lambda: multi_head(qk_norm="batch"), "`qk_norm` must be"),
        (lambda: MultiHeadAttention(D, 2, context_dim=3, alibi=True), "neither `causal` nor rotary"),
        (lambda: RelativePositionAttention(15, 4, 2), "`d_model` must be a multiple"),
        (lambda: RelativePositionAttention(16, 4, 0), "`max_relative_position` must be"),
        (lambda: RelativePositionAttention(16, 4, 2, 3), "`num_heads` must be a multiple of `num_kv_heads`"),
        (lambda: RelativePositionAttention(16, 4, 2, chunk_size=3), "`chunk_size` has no meaning"),
        (lambda: DisentangledAttention(16, 4, 2, num_kv_heads=2), "`num_kv_heads` has no meaning"),
        (lambda: DisentangledAttention(16, 4, 0), "`max_relative_positions` must be"),
        (lambda: DisentangledAttention(16, 4, 2, 1), "`position_buckets` must be at least 2, or None for none; got 1"),
        (lambda: DisentangledAttention(16, 4, pos_att_type=("p2p",)), "`pos_att_type` must be of"),
        (lambda: TransformerXLAttention(15, 3), "`d_model` must be even.*got 15"),
        (lambda: TransformerXLAttention(16, 4, rope_theta=1e4), "`rope_theta` has no meaning"),
    ],
)
def test_errors_at_construction(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "options", "message"),
    [
        (multi_head, {"segments": np.zeros((B, T))}, "`segments` must be integers"),
        (multi_head, {"segments": np.zeros(T, "int32")}, "`segments` must be"),
        (multi_head, {"segments": np.zeros((B, T + 1), "int32")}, "`mask` of shape"),
        (multi_head, {"attention_mask": np.full((B, T), -1e9)}, "is `bias`"),
        (multi_head, {"attention_mask": lambda query, key: masks.causal(query, key[:-1])}, "`mask` of shape"),
        (relative, {"context": np.zeros((B, T, D))}, "`context` is for cross attention"),
        (xl, {"memory": np.zeros((B, T, D + 1))}, "last axis of `memory`"),
    ],
)
def test_errors_at_call(layer, options, message):
    with pytest.raises(ValueError, match=message):
        layer()(np.zeros((B, T, D), "float32"), **options)
