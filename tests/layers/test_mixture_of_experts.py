"""Mixtures of experts and gated feed-forward networks against their definitions, token by token in float64."""

from __future__ import annotations

import itertools
import math

import keras
import numpy as np
import pytest
from helpers import compiled, gelu, gradients, normal, numpy, randomize, softmax
from keras import ops

import keras_tx
from keras_tx.layers import GEGLU, Experts, MixtureOfExperts, ReGLU, SwiGLU, TransformerBlock
from keras_tx.models.gpt.config import TINY

B, T, D, F = 2, 7, 5, 11
ACTIVATIONS = {"gelu": gelu, "silu": lambda x: x / (1 + np.exp(-x)), "relu": lambda x: np.maximum(x, 0)}
GATED = {"gelu": GEGLU, "silu": SwiGLU, "relu": ReGLU}

EXPERTS = {
    "Switch": Experts(num_experts=3, top_k=1, capacity_factor=0.8),
    "GShard": Experts(num_experts=5, top_k=2, capacity_factor=1.0),
    "Mixtral": Experts(num_experts=4, top_k=2),
    "roomy": Experts(num_experts=3, top_k=2, capacity_factor=9.0),
    "probabilities": Experts(num_experts=3, top_k=3, capacity_factor=0.5, norm_topk_prob=False),
}


def network(layer, x: np.ndarray, expert: int | None = None) -> np.ndarray:
    """One feed-forward network, or one of the experts, on `(..., D)`."""

    def linear(part, x):
        kernel, bias = (numpy(w).astype("float64") for w in (part.kernel, part.bias))
        return x @ kernel + bias if expert is None else x @ kernel[expert] + bias[expert, 0]

    activate = ACTIVATIONS[layer.activation]
    inner = activate(linear(layer.gate, x)) * linear(layer.up, x) if layer.gated else activate(linear(layer.up, x))
    return linear(layer.down, inner)


def mixture(layer: MixtureOfExperts, x: np.ndarray, limited: bool) -> np.ndarray:
    """First choices before second ones, earlier tokens before later ones, until an expert is full."""
    e, tokens = layer.experts, np.asarray(x, "float64").reshape(-1, D)
    probabilities = softmax(tokens @ numpy(layer.router).astype("float64"))
    chosen = np.argsort(-probabilities, axis=-1)[:, : e.top_k]
    gates = np.take_along_axis(probabilities, chosen, axis=-1)
    if e.normalizes:
        gates = gates / gates.sum(axis=-1, keepdims=True)
    room = math.ceil(len(tokens) * e.top_k * e.capacity_factor / e.num_experts) if limited else math.inf
    taken, y = [0] * e.num_experts, np.zeros_like(tokens)
    for choice, token in itertools.product(range(e.top_k), range(len(tokens))):
        expert = chosen[token, choice]
        taken[expert] += 1
        if taken[expert] <= room:
            y[token] += gates[token, choice] * network(layer, tokens[token], expert)
    return y.reshape(x.shape)


def make(rng, kind: str, **options) -> MixtureOfExperts:
    layer = MixtureOfExperts(D, F, EXPERTS[kind], **options)
    layer.build()
    return randomize(layer, rng)


@pytest.mark.parametrize("name", GATED)
def test_gated_networks(rng, name):
    layer = GATED[name](D, F)
    layer.build()
    randomize(layer, rng)
    x = normal(rng, B, T, D)
    np.testing.assert_allclose(layer(x), network(layer, x.astype("float64")), atol=1e-5)


@pytest.mark.parametrize("gated", [False, True])
def test_few_tokens_go_through_their_own_experts_alone(rng, gated):
    """Fewer choices than experts, as in decoding: outputs and gradients are the definition's all the same."""
    layer = MixtureOfExperts(D, F, Experts(num_experts=7, top_k=2), activation="silu", gated=gated)
    layer.build()
    x = normal(rng, 1, 3, D)
    randomize(layer, rng)
    np.testing.assert_allclose(layer(x), mixture(layer, x, limited=False), atol=1e-5)
    np.testing.assert_allclose(compiled(layer)(x), layer(x), atol=1e-5)
    rest = normal(rng, 1, 20, D)
    few = gradients(lambda x: ops.sum(layer(x) ** 2), x)
    many = gradients(lambda x: ops.sum(layer(ops.concatenate([x, rest], axis=1))[:, :3] ** 2), x)
    np.testing.assert_allclose(few, many, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", EXPERTS)
@pytest.mark.parametrize("gated", [False, True])
def test_equal_to_the_definition(rng, kind, gated):
    """With the capacity in training, without it otherwise; under XLA in training."""
    layer, x = make(rng, kind, activation="silu", gated=gated), normal(rng, B, T, D)
    limited = layer.experts.capacity_factor is not None
    free, full = mixture(layer, x, False), mixture(layer, x, limited)
    assert np.allclose(free, full) == (kind in ("Mixtral", "roomy"))
    np.testing.assert_allclose(layer(x), free, atol=1e-5)
    np.testing.assert_allclose(compiled(lambda x: layer(x, training=True))(x), full, atol=1e-5)


def test_gradient_along_a_line(rng):
    """Of the definition by differences, in float64; through the gates, the experts and the queues."""
    layer, x, weights = make(rng, "GShard", activation="silu"), normal(rng, B, T, D), normal(rng, B, T, D)
    (found,) = gradients(lambda x: ops.sum(layer(x, training=True) * weights), x)
    line, step = normal(rng, B, T, D).astype("float64"), 1e-5
    ahead, behind = (np.sum(mixture(layer, x + s * line, True) * weights) for s in (step, -step))
    assert np.sum(found * line) == pytest.approx((ahead - behind) / (2 * step), rel=1e-4)


def test_the_added_loss_is_least_when_all_are_used_alike(rng):
    layer, x = make(rng, "Switch"), normal(rng, B, T, D)
    layer(x)
    assert not layer.losses
    layer(x, training=True)
    probabilities = softmax(x.reshape(-1, D) @ numpy(layer.router))
    share = np.bincount(probabilities.argmax(axis=-1), minlength=3) / (B * T)
    assert float(layer.losses[0]) == pytest.approx(0.01 * 3 * np.sum(share * probabilities.mean(axis=0)), rel=1e-5)
    layer.router.assign(np.zeros((D, 3)))
    layer(x, training=True)
    assert float(layer.losses[0]) == pytest.approx(0.01, rel=1e-5)


@pytest.mark.slow
def test_a_model_of_experts_trains_under_xla_on_both_losses(rng):
    """The loss of a step is that of the tokens and that of the balance; batches of several shapes."""
    rates = dict.fromkeys(("embedding_dropout", "attention_dropout", "residual_dropout"), 0.0)
    experts = Experts(num_experts=3, top_k=1, capacity_factor=1.0, router_aux_loss_coef=7.0)
    model = keras_tx.GPTModel(TINY, num_layers=1, gated=True, activation="relu", experts=experts, **rates)
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=True)
    router = model.backbone.blocks[0].feed_forward.router
    for shape in ((2, 7), (3, 5)):
        ids, before = rng.integers(0, TINY.vocab_size, shape), numpy(router)
        outputs = model(ids, labels=ids, training=True)
        wanted = float(outputs["loss"]) + float(sum(model.losses))
        assert wanted > float(outputs["loss"]) + 7.0 - 0.5
        assert float(model.train_on_batch(ids, ids)) == pytest.approx(wanted, rel=1e-5)
        assert np.isfinite(numpy(router)).all() and (numpy(router) != before).all()


def test_each_expert_starts_as_a_network_of_its_own():
    layer = MixtureOfExperts(D, 211, Experts(num_experts=3))
    layer.build()
    kernels = numpy(layer.up.kernel)
    limit = (6 / (D + 211)) ** 0.5
    assert np.abs(kernels).max() <= limit and np.abs(kernels).max() == pytest.approx(limit, rel=0.05)
    assert not any(np.allclose(a, b) for a, b in itertools.combinations(kernels, 2))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_experts": 0}, "`num_experts` must be a whole number of at least 1; got 0"),
        ({"num_experts": 2, "top_k": 3}, "`top_k` must be at most `num_experts` = 2; got 3"),
        ({"capacity_factor": 0.0}, "`capacity_factor` must be above 0, or None for no limit; got 0.0"),
        ({"router_aux_loss_coef": -1.0}, "`router_aux_loss_coef` must be at least 0; got -1.0"),
        ({"expert": 2}, "Experts has no field `expert`; it has num_experts, top_k"),
    ],
)
def test_errors(fields, message):
    with pytest.raises(ValueError, match=message):
        TransformerBlock(D, 1, experts=fields)
