"""Stacks of blocks by themselves."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from helpers import normal, numpy, randomize

from keras_tx.layers import TransformerBlock, TransformerDecoder, TransformerEncoder

SIZES = {"num_layers": 2, "d_model": 15, "num_heads": 3, "d_ff": 29}


@pytest.fixture
def context(rng) -> np.ndarray:
    return normal(rng, 2, 7, 15)


def made(cls, rng, **options):
    stack = cls(**{**SIZES, **options})
    stack.build()
    return randomize(stack, rng)


@pytest.mark.parametrize(("position", "final"), [("pre", None), ("post", None), ("post", True), ("pre", False)])
def test_an_encoder_is_its_blocks_and_a_norm(rng, context, position, final):
    stack = made(TransformerEncoder, rng, norm_position=position, final_norm=final)
    mask = np.array([[1] * 7, [1] * 4 + [0] * 3])
    x = context
    for block in stack.blocks:
        assert isinstance(block, TransformerBlock)
        x = block(x, attention_mask=mask)
    assert hasattr(stack, "norm") == (position == "pre" if final is None else final)
    x = stack.norm(x) if stack.final_norm else x
    np.testing.assert_allclose(stack(context, attention_mask=mask), x, atol=1e-6)


def test_a_decoder_looks_back_and_at_its_context(rng, context):
    stack, x = made(TransformerDecoder, rng), normal(rng, 2, 5, 15)
    whole = numpy(stack(x, context))
    changed = x.copy()
    changed[:, 3:] += 1.0
    np.testing.assert_allclose(numpy(stack(changed, context))[:, :3], whole[:, :3], atol=1e-5)
    assert not np.allclose(stack(x, context + 1.0), whole, atol=1e-2)
    mask = np.array([[1] * 7, [1] * 4 + [0] * 3])
    masked = numpy(stack(x, context, context_mask=mask))
    np.testing.assert_allclose(masked[1], numpy(stack(x[1:], context[1:, :4]))[0], atol=1e-5)


def test_what_can_be_asked_for(rng, context):
    stack, x = made(TransformerDecoder, rng, final_norm=True), normal(rng, 2, 5, 15)
    outputs = stack(x, context, return_attention=True, return_hidden_states=True)
    assert set(outputs) == {"output", "attentions", "cross_attentions", "hidden_states"}
    assert [a.shape for a in outputs["attentions"]] == [(2, 3, 5, 5)] * 2
    assert [a.shape for a in outputs["cross_attentions"]] == [(2, 3, 5, 7)] * 2
    first, _, last = map(numpy, outputs["hidden_states"])
    np.testing.assert_array_equal(first, x)
    np.testing.assert_array_equal(last, outputs["output"])
    np.testing.assert_allclose(stack(x, context), last, atol=1e-5)


def test_cached_equals_uncached(rng, context):
    stack, x = made(TransformerDecoder, rng), normal(rng, 2, 5, 15)
    expected, cache = numpy(stack(x, context)), stack.init_cache(2, 6, context)
    for start, stop in ((0, 3), (3, 4), (4, 5)):
        outputs = stack(x[:, start:stop], cache=cache)
        cache = outputs["cache"]
        np.testing.assert_allclose(outputs["output"], expected[:, start:stop], atol=1e-5)


@pytest.mark.parametrize("cls", [TransformerEncoder, TransformerDecoder])
def test_config_round_trip(rng, cls):
    options = {
        "norm": "rms",
        "gated": True,
        "head_dim": 7,
        "kernel_initializer": keras.initializers.RandomNormal(0.0, 0.3),
    }
    stack = made(cls, rng, norm_position="pre", **options)
    copy = cls.from_config(stack.get_config())
    copy.build()
    assert copy.get_config() == stack.get_config()
    assert [weight.shape for weight in copy.weights] == [weight.shape for weight in stack.weights]


def test_a_decoder_of_another_width_than_its_encoder(rng):
    stack = made(TransformerDecoder, rng, context_dim=11)
    assert stack(normal(rng, 2, 5, 15), normal(rng, 2, 7, 11)).shape == (2, 5, 15)


def test_errors():
    with pytest.raises(ValueError, match="`num_layers` must be a whole number"):
        TransformerEncoder(0, 15, 3)
    with pytest.raises(ValueError, match="width7"):
        TransformerEncoder(1, 15, 3, width7=3)
