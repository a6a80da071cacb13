"""What holds for every layer."""

import json

import keras
import numpy as np
import pytest
from helpers import normal, numpy, randomize
from keras.src.backend import compute_output_spec
from keras.src.utils.naming import to_snake_case

from keras_tx import attention, layers
from keras_tx.ops import Rotary, RotaryScaling

B, T, S, D, C = 2, 5, 7, 15, 11
LONG_ON_JAX = pytest.mark.slow if keras.backend.backend() == "jax" else ()
"""There every operation is compiled for each dtype."""


def vectors(rng: np.random.Generator) -> dict:
    return {"x": normal(rng, B, T, D)}


def with_context(rng: np.random.Generator) -> dict:
    return {"x": normal(rng, B, T, D), "context": normal(rng, B, S, C)}


def ids(rng: np.random.Generator) -> tuple:
    return (rng.integers(0, 13, (B, T), dtype="int32"),)


ATTENTION = {"dropout": 0.1, "kernel_initializer": "he_normal", "output_initializer": "zeros"}
BLOCK = {"attention_dropout": 0.2, "drop_path": 0.1, "norm_epsilon": 1e-3, "output_initializer": "he_normal"}

LAYERS = {
    "MultiHeadAttention": (lambda **k: layers.MultiHeadAttention(D, 3, causal=True, **ATTENTION, **k), vectors),
    "wide heads": (lambda **k: layers.MultiHeadAttention(D, 3, head_dim=7, scale=0.3, use_bias=False, **k), vectors),
    "GroupedQueryAttention": (lambda **k: layers.GroupedQueryAttention(D, 6, 3, head_dim=4, **k), vectors),
    "MultiQueryAttention": (lambda **k: layers.MultiQueryAttention(D, 3, **k), vectors),
    "rotary": (lambda **k: layers.MultiHeadAttention(D, 3, head_dim=8, rope_theta=500.0, **k), vectors),
    "scaled rotary": (
        lambda **k: layers.MultiHeadAttention(
            D,
            3,
            head_dim=8,
            rotary=Rotary(dim=4, interleaved=True, scaling=RotaryScaling(rope_type="ntk", factor=2)),
            **k,
        ),
        vectors,
    ),
    "biased, capped attention": (
        lambda **k: layers.MultiHeadAttention(D, 3, alibi=True, soft_cap=3.0, sinks=True, qk_norm="rms", **k),
        vectors,
    ),
    "RelativePositionAttention": (
        lambda **k: layers.RelativePositionAttention(D, 3, 2, 1, causal=True, dropout=0.1, **k),
        vectors,
    ),
    "DisentangledAttention": (
        lambda **k: layers.DisentangledAttention(
            D, 3, 9, 4, pos_att_type=("p2c",), position_dropout=0.1, table_initializer="he_normal", dropout=0.1, **k
        ),
        vectors,
    ),
    "TransformerXLAttention": (
        lambda **k: layers.TransformerXLAttention(D + 3, 3, bias_initializer="he_normal", **k),
        lambda rng: {"x": normal(rng, B, T, D + 3), "memory": normal(rng, B, S, D + 3)},
    ),
    "SlidingWindowAttention": (
        lambda **k: layers.SlidingWindowAttention(D, 3, 2, 1, causal=True, num_global=1, dropout=0.1, **k),
        vectors,
    ),
    "LongformerAttention": (
        lambda **k: layers.LongformerAttention(D, 3, 2, max_global=2, dropout=0.1, **k),
        lambda rng: {"x": normal(rng, B, T, D), "global_attention_mask": rng.integers(0, 2, (B, T))},
    ),
    "BlockSparseAttention": (lambda **k: layers.BlockSparseAttention(D, 3, block_size=2, seed=7, **k), vectors),
    "LinearAttention": (lambda **k: layers.LinearAttention(D, 3, causal=True, **k), vectors),
    "FAVOR+": (
        lambda **k: layers.LinearAttention(D, 3, feature_map="favor", num_features=11, seed=5, scale=0.3, **k),
        vectors,
    ),
    "LatentAttention": (lambda **k: layers.LatentAttention(D, 3, 7, query_dim=11, value_dim=4, **k), vectors),
    "LinformerAttention": (lambda **k: layers.LinformerAttention(D, 3, S, 2, dropout=0.1, **k), vectors),
    "NystromAttention": (lambda **k: layers.NystromAttention(D, 3, 2, iterations=4, **k), vectors),
    "block with another attention": (
        lambda **k: layers.TransformerBlock(D, 3, attention_variant=attention.SlidingWindow(window_size=2), **k),
        vectors,
    ),
    "CrossAttention": (lambda **k: layers.CrossAttention(D, C, 3, **k), with_context),
    "pre-norm block": (lambda **k: layers.TransformerBlock(D, 3, 29, 0.1, causal=True, **BLOCK, **k), vectors),
    "post-norm block": (
        lambda **k: layers.TransformerBlock(D, 3, norm_position="post", activation="gelu", use_bias=False, **k),
        vectors,
    ),
    "decoder block": (lambda **k: layers.TransformerBlock(D, 3, 29, causal=True, context_dim=C, **k), with_context),
    "grouped rotary block": (
        lambda **k: layers.TransformerBlock(D + 3, 3, num_kv_heads=1, rope_theta=100.0, **k),
        lambda rng: {"x": normal(rng, B, T, D + 3)},
    ),
    "vision block": (
        lambda **k: layers.TransformerBlock(D, 3, qkv_bias=False, qk_norm=True, layer_scale=0.3, **k),
        vectors,
    ),
    "AttentionPooling": (lambda **k: layers.AttentionPooling(D, 3, 29, "gelu", 1e-3, "he_normal", **k), vectors),
    "FeedForward": (lambda **k: layers.FeedForward(D, 29, 0.1, "gelu_tanh", output_initializer="zeros", **k), vectors),
    "SwiGLU": (lambda **k: layers.SwiGLU(D, 29, dropout=0.1, use_bias=False, **k), vectors),
    "GEGLU": (lambda **k: layers.GEGLU(D, 29, **k), vectors),
    "ReGLU": (lambda **k: layers.ReGLU(D, 29, 0.1, activation_dropout=0.1, **k), vectors),
    "MixtureOfExperts": (
        lambda **k: layers.MixtureOfExperts(
            D, 29, layers.Experts(num_experts=3, capacity_factor=1.1), 0.1, "silu", gated=True, **k
        ),
        vectors,
    ),
    "block of experts": (
        lambda **k: layers.TransformerBlock(
            D + 3,
            3,
            29,
            rotary=Rotary(rope_theta=50.0, scaling=RotaryScaling(rope_type="linear", factor=2)),
            norm="rms",
            experts={"num_experts": 2, "top_k": 1, "router_aux_loss_coef": 0.3},
            **k,
        ),
        lambda rng: {"x": normal(rng, B, T, D + 3)},
    ),
    "LayerScale": (lambda **k: layers.LayerScale(D, 0.3, **k), vectors),
    "PatchEmbedding": (
        lambda **k: layers.PatchEmbedding((2, 3), D, 5, use_bias=False, **k),
        lambda rng: (normal(rng, B, 4, 9, 5),),
    ),
    "PatchMerging": (
        lambda **k: layers.PatchMerging(D, "post", 1e-3, "he_normal", **k),
        lambda rng: (normal(rng, B, 5, 7, D),),
    ),
    "WindowAttention": (
        lambda **k: layers.WindowAttention(D, 3, (2, 3), scores="cosine", position_bias="continuous", dropout=0.1, **k),
        lambda rng: {"x": normal(rng, B, 6, D)},
    ),
    "SwinBlock": (
        lambda **k: layers.SwinBlock(D, 3, (2, 3), (1, 2), 29, 0.1, drop_path=0.1, attention_dropout=0.2, **k),
        lambda rng: (normal(rng, B, 5, 7, D),),
    ),
    "TransformerEncoder": (lambda **k: layers.TransformerEncoder(2, D, 3, 29, 0.1, activation="relu", **k), vectors),
    "TransformerDecoder": (
        lambda **k: layers.TransformerDecoder(2, D, 3, 29, norm_position="pre", context_dim=C, **k),
        with_context,
    ),
    "BucketedPositionBias": (
        lambda **k: layers.BucketedPositionBias(3, 6, 17, bidirectional=False, initializer="normal", **k),
        lambda rng: (np.arange(T), np.arange(S)),
    ),
    "SimpleFeaturePyramid": (
        lambda **k: layers.SimpleFeaturePyramid(D, (2, 0.5), 1e-3, "he_normal", **k),
        lambda rng: (normal(rng, B, 5, 7, D),),
    ),
    "PyramidDecoder": (
        lambda **k: layers.PyramidDecoder((D, C), 13, 1e-3, "he_normal", **k),
        lambda rng: ([normal(rng, B, 4, 6, D), normal(rng, B, 2, 3, C)],),
    ),
    "QueryDecoder": (
        lambda **k: layers.QueryDecoder(D, 5, 12, 3, 29, 1, 1, 0.1, norm_epsilon=1e-3, **k),
        lambda rng: (normal(rng, B, 2, 3, D),),
    ),
    "DropPath": (lambda **k: layers.DropPath(0.3, seed=5, **k), vectors),
    "TokenEmbedding": (lambda **k: layers.TokenEmbedding(13, D, "normal", **k), ids),
    "PositionEmbedding": (lambda **k: layers.PositionEmbedding(13, D, "normal", **k), ids),
    "PositionalEncoding": (
        lambda **k: layers.PositionalEncoding(D + 3, 17, 0.1, **k),
        lambda rng: {"x": normal(rng, B, T, D + 3)},
    ),
    "TokenPooling": (
        lambda **k: layers.TokenPooling(("cls", "max", "mean", "weightedmean", "lasttoken"), **k),
        vectors,
    ),
    "RotaryPositionalEmbedding": (
        lambda **k: layers.RotaryPositionalEmbedding(8, 17, 500.0, **k),
        lambda rng: {"x": normal(rng, B, 3, T, 8)},
    ),
}

every_layer = pytest.mark.parametrize("name", LAYERS)


def call(layer: keras.layers.Layer, inputs, **options):
    return layer(**inputs, **options) if isinstance(inputs, dict) else layer(*inputs, **options)


def shapes(layer: keras.layers.Layer) -> list[tuple[str, tuple]]:
    return [(weight.path.split("/", 1)[1], tuple(weight.shape)) for weight in layer.weights]


def test_every_public_layer_is_here():
    tested = {type(make()) for make, _ in LAYERS.values()}
    public = {x for x in vars(layers).values() if isinstance(x, type) and issubclass(x, keras.layers.Layer)}
    assert tested == public


@pytest.mark.any_backend
@every_layer
def test_config_round_trip_through_json(name):
    make, _ = LAYERS[name]
    layer = make(dtype="mixed_bfloat16", name="original")
    serialized = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    copies = [type(layer).from_config(layer.get_config()), keras.saving.deserialize_keras_object(serialized)]
    layer.build()
    for copy in copies:
        assert type(copy) is type(layer)
        assert copy.get_config() == layer.get_config()
        copy.build()
        assert shapes(copy) == shapes(layer)
        assert [w.name for w in copy.trainable_weights] == [w.name for w in layer.trainable_weights]


@pytest.mark.parametrize(
    ("cls", "sizes", "base"),
    [
        (layers.GroupedQueryAttention, (18, 6, 3), layers.MultiHeadAttention),
        (layers.MultiQueryAttention, (18, 3), layers.MultiHeadAttention),
        (layers.CrossAttention, (18, C, 3), layers.MultiHeadAttention),
        (layers.SwiGLU, (18, 29), layers.FeedForward),
        (layers.GEGLU, (18, 29), layers.FeedForward),
        (layers.ReGLU, (18, 29), layers.FeedForward),
    ],
)
def test_settings_with_names_are_classes(cls, sizes, base):
    """That can be asked for, subclassed, and are called by their names."""
    layer = cls(*sizes)
    assert isinstance(layer, cls) and issubclass(cls, base)
    assert layer.name.startswith(to_snake_case(cls.__name__))
    assert keras.saving.get_registered_name(cls) == f"keras_tx>{cls.__name__}"
    assert isinstance(type("Own", (cls,), {})(*sizes), base)


@every_layer
def test_build_makes_every_weight(name, rng):
    make, inputs = LAYERS[name]
    layer = make()
    layer.build()
    assert layer.built
    before, given = [id(weight) for weight in layer.variables], inputs(rng)
    compute_output_spec(lambda: call(layer, given))  # traces the call, which makes no weight either
    assert [id(weight) for weight in layer.variables] == before


@every_layer
def test_output_shape_is_as_computed(name, rng):
    make, inputs = LAYERS[name]
    layer, given = make(), inputs(rng)
    if type(layer).compute_output_shape is keras.layers.Layer.compute_output_shape:
        pytest.skip("Keras finds it out by a call")
    output = call(layer, given)
    expected = layer.compute_output_shape(*(x.shape for x in ([given["x"]] if isinstance(given, dict) else given)))
    if isinstance(output, tuple):
        assert tuple(tuple(x.shape) for x in output) == expected
    else:
        assert tuple(output.shape) == tuple(expected)


@every_layer
@pytest.mark.parametrize("policy", ["mixed_bfloat16", pytest.param("float16", marks=LONG_ON_JAX)])
def test_half_precision(name, policy, rng):
    make, inputs = LAYERS[name]
    layer, exact = make(dtype=policy), make()
    given = inputs(rng)
    exact.build(), layer.build()
    randomize(exact, rng)
    for weight, value in zip(layer.trainable_weights, exact.trainable_weights, strict=True):
        assert weight.dtype == ("float16" if policy == "float16" else "float32")
        weight.assign(value)
    output, expected = call(layer, given), call(exact, given)
    # The tables of rotary positions stay float32 and are cast where they are used.
    dtype = "float32" if name == "RotaryPositionalEmbedding" else layer.compute_dtype
    for found, wanted in zip(keras.tree.flatten(output), keras.tree.flatten(expected), strict=True):
        assert keras.backend.standardize_dtype(found.dtype) == dtype
        difference = np.abs(numpy(keras.ops.cast(found, "float32")) - numpy(wanted))
        assert difference.max() < 0.03 * np.abs(numpy(wanted)).max()
