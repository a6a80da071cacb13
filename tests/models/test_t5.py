"""T5 by its definition: parameters, initial weights, the position bias, and what differs between its versions."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from helpers import compiled, count_parameters, normal, numpy, randomize
from keras import ops

from keras_tx.models import (
    T5Config,
    T5EncoderModel,
    T5ForQuestionAnswering,
    T5ForSequenceClassification,
    T5ForTokenClassification,
    T5Model,
    create_model,
)
from keras_tx.models.t5.config import TINY, VARIANTS

# === Parameters ===

COUNTS = {
    "t5_small": 60506624,
    "t5_base": 222903552,
    "t5_large": 737668096,
    "t5_xl": 2851598336,
    "t5_xxl": 11307321344,
    "t5_v1_1_small": 76961152,
    "t5_v1_1_base": 247577856,
    "t5_v1_1_large": 783150080,
    "t5_v1_1_xl": 2849757184,
    "t5_v1_1_xxl": 11135332352,
}


@pytest.mark.parametrize("name", VARIANTS)
def test_parameters(name):
    assert count_parameters(lambda: create_model(name)) == COUNTS[name]


@pytest.mark.parametrize(
    ("cls", "variant", "count"),
    [
        (T5EncoderModel, "t5_small", 35330816),
        (T5EncoderModel, "t5_xl", 1240909824),
        (T5EncoderModel, "t5_v1_1_small", 35332800),
        (T5ForSequenceClassification, "t5_small", 60770306),
        (T5ForTokenClassification, "t5_small", 35331842),
        (T5ForQuestionAnswering, "t5_small", 60507650),
    ],
)
def test_parameters_of_other_heads(cls, variant, count):
    assert count_parameters(lambda: cls(VARIANTS[variant])) == count


def test_initial_weights():
    """Of the size that its authors chose: scores are not divided, so queries start small."""
    config = T5Config(
        vocab_size=211,
        num_layers=1,
        num_heads=7,
        d_model=103,
        d_kv=31,
        d_ff=199,
        tie_embeddings=False,
        gated=True,
        initializer_factor=1.7,
    )
    model = T5Model(config)
    d_model, d_kv, inner, d_ff = 103, 31, 7 * 31, 199
    stddevs = {
        "token_embedding/embeddings": 1.0,
        "output_projection/kernel": 1.0,
        "encoder_bias/table": d_model**-0.5,
        "decoder_bias/table": d_model**-0.5,
        "attention/query/kernel": (d_model * d_kv) ** -0.5,
        "attention/key/kernel": d_model**-0.5,
        "attention/value/kernel": d_model**-0.5,
        "attention/output/kernel": inner**-0.5,
        "up/kernel": d_model**-0.5,
        "gate/kernel": d_model**-0.5,
        "down/kernel": d_ff**-0.5,
    }
    seen = set()
    for path, weight in model.weights_by_path().items():
        values = numpy(weight)
        if path.endswith("scale"):
            assert (values == 1.0).all()
            continue
        name = next(name for name in stddevs if path.endswith(name))
        seen.add(name)
        expected = 1.7 * stddevs[name]
        assert values.std() == pytest.approx(expected, rel=5 / math.sqrt(2 * values.size)), path
        assert abs(values.mean()) < 5 * expected / math.sqrt(values.size), path
    assert seen == set(stddevs)


def test_heads_begin_as_their_authors_have_them():
    config = TINY.replace(d_model=101, num_labels=7, initializer_factor=0.5)
    stddevs = {
        T5ForTokenClassification: [("classifier", 0.5)],
        T5ForSequenceClassification: [("transform", 0.5 * 101**-0.5), ("classifier", 0.5 * 101**-0.5)],
        T5ForQuestionAnswering: [("qa_outputs", 0.5 * 101**-0.5)],
    }
    for cls, layers in stddevs.items():
        model = cls(config)
        for name, stddev in layers:
            kernel = numpy(getattr(model.head, name).kernel)
            assert kernel.std() == pytest.approx(stddev, rel=5 / math.sqrt(2 * kernel.size))
            assert not numpy(getattr(model.head, name).bias).any()


# === Versions ===


def test_output_is_scaled_where_it_is_tied(rng):
    hidden = normal(rng, 2, 3, 11)
    tied = randomize(T5Model(TINY), rng)
    table = numpy(tied.backbone.token_embedding.embeddings)
    np.testing.assert_allclose(tied.logits(hidden), hidden @ table.T / math.sqrt(11), atol=1e-5)
    unscaled = T5Model(TINY, scale_output=False)
    unscaled.set_weights(tied.get_weights())
    np.testing.assert_allclose(unscaled.logits(hidden), hidden @ table.T, atol=1e-5)
    untied = randomize(T5Model(TINY, tie_embeddings=False), rng)
    np.testing.assert_allclose(untied.logits(hidden), hidden @ numpy(untied.head.output_projection.kernel), atol=1e-5)


def test_dropout_everywhere(rng):
    """In training alone, on embeddings, in attention, inside and after each branch, and at the end."""
    model, ids = T5Model(TINY, dropout=0.5), rng.integers(0, 61, (3, 7))
    target = rng.integers(0, 61, (3, 5))
    assert not np.allclose(model(ids, target, training=True)["logits"], model(ids, target)["logits"])
    block = model.backbone.decoder.blocks[0]
    rates = [model.backbone.drop.rate, block.drop.rate, block.feed_forward.activation_drop.rate]
    rates += [block.attention.dropout, block.cross_attention.dropout]
    assert rates == [0.5] * 5


# === Positions ===


def test_only_distances_count(rng):
    """Moving both texts between other padding changes nothing: there are no absolute positions."""
    model = randomize(T5Model(TINY), rng)
    ids, target = rng.integers(0, 61, (1, 7)), rng.integers(0, 61, (1, 5))
    expected = numpy(model(ids, target)["logits"])
    mask = np.pad(np.ones_like(ids), ((0, 0), (3, 4)))
    moved = np.pad(ids, ((0, 0), (3, 4)), constant_values=9)
    np.testing.assert_allclose(model(moved, target, mask)["logits"], expected, atol=1e-5)


def test_one_bias_for_all_layers():
    model = T5Model(TINY)
    tables = [path for path in model.weights_by_path() if "bias" in path]
    assert tables == ["backbone/encoder_bias/table", "backbone/decoder_bias/table"]


# === Sequence classification ===


def classifier(rng, **fields) -> T5ForSequenceClassification:
    config = TINY.replace(num_layers=1, num_labels=5, **fields)
    return randomize(T5ForSequenceClassification(config), rng)


def test_a_text_is_read_at_its_last_end_token(rng):
    model = classifier(rng, eos_token_id=(1, 7))
    ids = rng.integers(8, 61, (3, 7))
    ids[0, 3], ids[1, [1, 5]], ids[2, 6] = 1, [1, 7], 7
    together = numpy(model(ids)["logits"])
    for row, end in enumerate((3, 5, 6)):
        np.testing.assert_allclose(together[row], _at(model, ids[row : row + 1], end), atol=1e-5)


def _at(model, ids: np.ndarray, position: int) -> np.ndarray:
    """The logits of a decoder's state, by the definition."""
    shifted = np.concatenate([[[model.config.decoder_start_token_id]], ids[:, :-1]], axis=1)
    x = numpy(model.decode(shifted, model.encode(ids)))[0, position]
    x = np.tanh(x @ numpy(model.head.transform.kernel) + numpy(model.head.transform.bias))
    return x @ numpy(model.head.classifier.kernel) + numpy(model.head.classifier.bias)


def test_without_end_tokens_at_the_last_token(rng):
    model, ids = classifier(rng), rng.integers(0, 61, (1, 7))
    np.testing.assert_allclose(model(ids)["logits"][0], _at(model, ids, 6), atol=1e-5)
    mask = (np.arange(7) < 4).astype(int)[None]
    np.testing.assert_allclose(model(ids, attention_mask=mask)["logits"], model(ids[:, :4])["logits"], atol=1e-5)


def test_a_text_without_an_end(rng):
    model, ids = classifier(rng, eos_token_id=1), np.array([[5, 1, 9], [5, 6, 9]])
    with pytest.raises(ValueError, match="each row of `input_ids` must hold `eos_token_id` = 1"):
        model(ids)
    found = numpy(compiled(lambda ids: model(ids)["logits"])(ops.convert_to_tensor(ids)))
    assert np.isfinite(found[0]).all() and np.isnan(found[1]).all()


def test_a_classifier_needs_a_target_as_long_as_its_text(rng):
    with pytest.raises(ValueError, match=r"`decoder_input_ids` must have shape \(2, 7\)"):
        classifier(rng)(rng.integers(0, 61, (2, 7)), rng.integers(0, 61, (2, 5)))


# === Errors ===


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"d_kv": 0}, "`d_kv` must be a whole number of at least 1"),
        ({"dropout": 1.0}, r"`dropout` must be a rate in \[0, 1\)"),
        ({"activation": "zelu"}, "`activation` must be one of"),
        ({"num_buckets": 3, "max_distance": 1}, "buckets a direction"),
    ],
)
def test_configs_that_cannot_be(fields, message):
    with pytest.raises(ValueError, match=message):
        T5Model(TINY, **fields)


def test_token_types_are_unknown(rng):
    ids = rng.integers(0, 61, (2, 5))
    with pytest.raises(ValueError, match="this model takes no 'token_type_ids'"):
        T5ForTokenClassification(TINY)(ids, token_type_ids=np.zeros_like(ids))


# === Precision ===


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float16"])
def test_the_last_map_is_kept_in_float32(policy, rng):
    """In float16, in which it would overflow: what it gives may be larger than 65504."""
    model = randomize(T5Model(TINY, dtype=policy), rng)
    body = model.backbone
    downs = [block.feed_forward.down for stack in (body.encoder, body.decoder) for block in stack.blocks]
    if "float16" in policy.split("_"):
        assert {keras.backend.standardize_dtype(layer.kernel.dtype) for layer in downs} == {"float32"}
        for layer in downs:
            layer.kernel.assign(3e5 * normal(rng, *layer.kernel.shape))
    outputs = model(rng.integers(0, 61, (2, 7)), rng.integers(0, 61, (2, 5)), return_hidden_states=True)
    assert keras.backend.standardize_dtype(outputs["logits"].dtype) == policy.removeprefix("mixed_")
    assert np.isfinite(numpy(outputs["logits"]).astype("float32")).all()
    if "float16" in policy.split("_"):
        assert np.abs(numpy(outputs["encoder_hidden_states"][1])).max() > 65504
