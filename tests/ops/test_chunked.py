"""Attention by chunks of keys is the same function with the same gradient, in less memory."""

import ast

import keras
import numpy as np
import pytest
from attention_helpers import softmax_gradients
from helpers import PACKAGE, attend, compiled, gradients, normal, numpy, run_python
from keras import ops

from keras_tx.layers import MultiHeadAttention
from keras_tx.ops.attention.softmax import attention

B, H, K, T, S, D, V = 2, 6, 3, 5, 17, 11, 13

VARIANTS = {
    "plain": lambda rng: {},
    "nothing seen": lambda rng: {"mask": (np.arange(T) != 2)[:, None] & (rng.random((B, 1, 1, S)) < 0.6)},
    "mask a head, bias, soft cap": lambda rng: {
        "mask": rng.random((B, H, T, S)) < 0.5,
        "bias": normal(rng, H, T, S),
        "soft_cap": 2.0,
    },
    "bias a row": lambda rng: {"bias": normal(rng, B, 1, 1, S)},
    "bias a head": lambda rng: {"bias": normal(rng, H, 1, 1)},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_value_and_gradients_are_those_of_the_definition(variant, rng):
    qkv = normal(rng, B, H, T, D), normal(rng, B, K, S, D), normal(rng, B, K, S, V)
    options = VARIANTS[variant](rng)
    expected, _ = attend(*qkv, **options)
    bias = options.pop("bias", np.zeros((), "float32"))

    def output(query, key, value, bias):
        bias = bias if len(bias.shape) else None
        return attention(query, key, value, bias=bias, chunk_size=7, **options)

    np.testing.assert_allclose(compiled(output)(*qkv, bias), expected, atol=2e-6)
    mask, cap = options.get("mask", True), options.get("soft_cap")
    wanted = softmax_gradients(mask, *qkv, bias, cap)
    inputs = (*qkv, bias) if bias.ndim else qkv

    def total(*inputs):
        return ops.sum(ops.sin(output(*inputs, *(() if bias.ndim else (bias,)))))

    for found, gradient in zip(gradients(compiled(total), *inputs), wanted, strict=False):
        np.testing.assert_allclose(found, gradient, atol=5e-6)


def test_causal_and_large_scores(rng):
    query, key, value = normal(rng, B, H, S, D), normal(rng, B, K, S, D), normal(rng, B, K, S, D)
    found = attention(1e3 * query, key, value, causal=True, chunk_size=4)
    expected, _ = attend(1e3 * query, key, value, mask=np.tri(S, dtype=bool))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_gradient_drops_what_the_output_dropped(rng):
    query, key = normal(rng, 1, 1, S, D), normal(rng, 1, 1, S, D)
    direction = normal(rng, 1, 1, S, D)

    def total(query):
        seed = keras.random.SeedGenerator(5)
        return ops.sum(ops.sin(attention(query, key, key, chunk_size=4, dropout=0.4, seed=seed, causal=True)))

    slope = (gradients(total, query)[0] * direction).sum()
    ahead, behind = (float(total(ops.convert_to_tensor(query + e * direction))) for e in (1e-2, -1e-2))
    assert slope == pytest.approx((ahead - behind) / 2e-2, rel=1e-3)


def test_training_compiles_with_all_that_is_traced(rng):
    """Masks, causality and a draw of dropout that come from inside the compiled step."""
    layer = MultiHeadAttention(18, 6, 3, head_dim=4, causal=True, chunk_size=4, dropout=0.3)
    x, y = normal(rng, 2, 11, 18), normal(rng, 2, 11, 18)
    inputs, mask = keras.Input((11, 18)), keras.Input((11,))
    model = keras.Model([inputs, mask], layer(inputs, attention_mask=mask > 0))
    model.compile("sgd", "mse", jit_compile=True)
    before = numpy(layer.query.kernel)
    model.fit([x, rng.normal(size=(2, 11))], y, verbose=0)
    assert np.isfinite(numpy(layer.query.kernel)).all() and not np.allclose(numpy(layer.query.kernel), before)


def test_dropout_differs_by_chunk_and_keeps_the_mean(rng):
    """All scores are equal and values are the unit vectors: the output is the dropped weights."""
    size = 12
    query, value = np.zeros((1, 1, 5003, size), "float32"), np.eye(size, dtype="float32")[None, None]
    seed = keras.random.SeedGenerator(3)
    weights = numpy(attention(query, np.zeros_like(value), value, chunk_size=4, dropout=0.3, seed=seed))[0, 0] * size
    assert abs(weights.mean() - 1) < 0.02
    first, second = weights[:, :4] > 0, weights[:, 4:8] > 0
    assert abs((first == second).mean() - (0.7**2 + 0.3**2)) < 0.02


def test_layer_with_chunks_free_length_and_half_precision(rng):
    x = keras.Input((None, 18))
    layer = MultiHeadAttention(18, 6, 3, head_dim=4, causal=True, chunk_size=4, dtype="mixed_bfloat16")
    model = keras.Model(x, layer(x))
    plain = MultiHeadAttention(18, 6, 3, head_dim=4, causal=True)
    plain.build()
    plain.set_weights(layer.get_weights())
    for shape in ((2, 11), (3, 7)):
        given = normal(rng, *shape, 18)
        assert np.abs(model.predict(given, verbose=0).astype("float32") - numpy(plain(given))).max() < 0.03


def test_half_precision_stays_half(rng):
    half = [ops.cast(normal(rng, *shape), "float16") for shape in ((B, H, T, D), (B, K, S, D), (B, K, S, V))]
    output = attention(*half, chunk_size=7)
    assert keras.backend.standardize_dtype(output.dtype) == "float16"
    np.testing.assert_allclose(numpy(output).astype("float32"), attend(*map(numpy, half))[0], atol=5e-3)


def test_errors(rng):
    with pytest.raises(ValueError, match="`chunk_size` must be a whole number of at least 1; got 0"):
        attention(*(normal(rng, B, K, S, D) for _ in range(3)), chunk_size=0)


def test_attention_alone_calls_it():
    """It is a schedule of the one softmax attention, not a second one."""
    callers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "keras_tx.ops.attention.chunked"
    }
    assert callers == {"ops/attention/softmax.py"}


MEMORY = """
import resource, sys
import numpy as np
sys.path.insert(0, "tests")
from helpers import compiled
from keras_tx.ops.attention.softmax import attention

run = compiled(lambda q, k, v: attention(q, k, v, causal=True, chunk_size=128))
q, k, v = (np.random.default_rng(i).normal(size=(1, 4, 8192, 16)).astype("float32") for i in range(3))
np.asarray(run(*(x[:, :, :256] for x in (q, k, v))))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
np.asarray(run(q, k, v))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_memory_is_a_small_part_of_what_all_scores_take():
    kibibytes = int(run_python("-c", MEMORY).split()[-1])
    assert kibibytes < 4 * 8192**2 * 4 / 1024 / 5
