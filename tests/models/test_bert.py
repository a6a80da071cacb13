"""BERT by its definition: exact sizes, the paper's table, initialization, embeddings, blocks and pooler."""

import dataclasses

import numpy as np
import pytest
from helpers import count_parameters, dense, gelu, layer_norm, numpy, randomize

import keras_tx.models
from keras_tx.models import BERTConfig, BERTForSequenceClassification, BERTForTokenClassification, BERTModel
from keras_tx.models.bert.config import TINY, VARIANTS

HEADS = (
    "BERTModel",
    "BERTForPreTraining",
    "BERTForMaskedLM",
    "BERTForNextSentencePrediction",
    "BERTForSequenceClassification",
    "BERTForTokenClassification",
    "BERTForQuestionAnswering",
    "BERTForMultipleChoice",
)
COUNTS = {
    "bert_base": (109482240, 110106428, 109514298, 109483778, 109483778, 108893186, 108893186, 109483009),
    "bert_large": (335141888, 336226108, 335174458, 335143938, 335143938, 334094338, 334094338, 335142913),
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts(name, head):
    expected = COUNTS[name][HEADS.index(head)]
    assert count_parameters(lambda: getattr(keras_tx.models, head)(VARIANTS[name])) == expected


def test_paper_configs():
    table = {name: (c.num_layers, c.d_model, c.num_heads, c.d_ff) for name, c in VARIANTS.items()}
    assert table == {"bert_base": (12, 768, 12, 3072), "bert_large": (24, 1024, 16, 4096)}
    for c in VARIANTS.values():
        assert (c.vocab_size, c.max_positions, c.type_vocab_size, c.pad_token_id) == (30522, 512, 2, 0)
        assert (c.activation, c.norm_epsilon, c.initializer_range) == ("gelu", 1e-12, 0.02)
        assert c.hidden_dropout == c.attention_dropout == 0.1


@pytest.mark.parametrize("name", VARIANTS)
def test_builders_take_overrides(name):
    model = keras_tx.models.create_model(name, num_layers=1, d_model=30, num_heads=3, d_ff=19, vocab_size=11)
    assert type(model) is BERTModel
    assert model.config == dataclasses.replace(
        VARIANTS[name], num_layers=1, d_model=30, num_heads=3, d_ff=19, vocab_size=11
    )


def test_initialization():
    model = BERTModel(TINY, vocab_size=211, max_positions=101, type_vocab_size=97, d_model=102, d_ff=103)
    drawn = []
    for weight in model.trainable_weights:
        values = numpy(weight)
        if weight.name == "gamma":
            assert (values == 1).all()
        elif weight.name in ("beta", "bias"):
            assert not values.any()
        else:
            assert values.std() == pytest.approx(0.02, rel=0.05), weight.path
            assert np.abs(values).max() > 0.05  # a truncated normal ends at two deviations
            drawn.append(values.ravel()[:50])
    assert len(drawn) == 3 + 6 * TINY.num_layers + 1
    assert not any(np.allclose(x, y) for i, x in enumerate(drawn) for y in drawn[:i])


def test_hidden_states_by_definition(rng):
    """The sum of three tables, normalized; then each block's branches, normalized after they are added."""
    model = randomize(BERTModel(TINY), rng)
    ids, types = rng.integers(0, 61, (2, 5)), rng.integers(0, 3, (2, 5))
    sequence, pooled, states = model({"input_ids": ids, "token_type_ids": types}, return_hidden_states=True)

    def norm(layer, x):
        return layer_norm(x, numpy(layer.gamma), numpy(layer.beta), 1e-12)

    tables = (model.backbone.token_embedding, model.backbone.token_type_embedding, model.backbone.position_embedding)
    tokens, kinds, positions = (numpy(table.embeddings) for table in tables)
    x = norm(model.backbone.embedding_norm, tokens[ids] + kinds[types] + positions[:5])
    np.testing.assert_allclose(states[0], x, atol=1e-5)
    for i, block in enumerate(model.backbone.blocks):
        x = norm(block.attention_norm, x + numpy(block.attention(x)))
        inner = gelu(dense(block.feed_forward.up, x))
        x = norm(block.feed_forward_norm, x + dense(block.feed_forward.down, inner))
        np.testing.assert_allclose(states[i + 1], x, atol=1e-4)
    assert len(states) == 3
    np.testing.assert_array_equal(sequence, states[-1])
    np.testing.assert_allclose(pooled, np.tanh(dense(model.backbone.pooler, x[:, 0])), atol=1e-4)


def test_every_token_sees_every_other(rng):
    model = randomize(BERTModel(TINY), rng)
    ids = rng.integers(0, 61, (1, 5))
    _, _, maps = model(ids, return_attention=True)
    assert all((numpy(x) > 0).all() for x in maps)
    other = ids.copy()
    other[0, -1] = (ids[0, -1] + 1) % 61
    assert not np.allclose(model(ids)[0][0, 0], model(other)[0][0, 0], atol=1e-3)


def test_what_is_asked_for_follows_in_order(rng):
    model = BERTModel(TINY)
    ids = rng.integers(0, 61, (2, 5))
    sequence, pooled = model(ids)
    assert sequence.shape == (2, 5, 15) and pooled.shape == (2, 15)
    _, _, maps, states = model(ids, return_attention=True, return_hidden_states=True)
    assert [x.shape for x in maps] == [(2, 3, 5, 5)] * 2 and [x.shape for x in states] == [(2, 5, 15)] * 3


def test_defaults_of_what_is_not_given(rng):
    """Tokens of the first text, at positions from 0 on, none of them padding."""
    model = randomize(BERTModel(TINY), rng)
    ids = rng.integers(0, 61, (2, 5))
    given = {"token_type_ids": 0 * ids, "position_ids": np.arange(5) + 0 * ids, "attention_mask": 1 + 0 * ids}
    for found, expected in zip(model(ids), model(ids, **given), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    for name, other in (("token_type_ids", 1 + 0 * ids), ("position_ids", np.arange(1, 6) + 0 * ids)):
        assert not np.allclose(model(ids)[0], model(ids, **{**given, name: other})[0], atol=1e-2)


def test_dropout_before_a_classifier():
    for cls in (BERTForSequenceClassification, BERTForTokenClassification):
        assert cls(TINY, hidden_dropout=0.3).head.classifier_drop.rate == 0.3
        assert cls(TINY, hidden_dropout=0.3, classifier_dropout=0.0).head.classifier_drop.rate == 0.0


def test_a_model_without_a_head_trains_with_a_keras_loss(rng):
    """Between the two outputs and targets for them; it has no loss of its own."""
    ids = rng.integers(0, 61, (3, 5))
    model = BERTModel(TINY)
    model.compile("sgd", loss=["mse", "mae"])
    sequence, pooled = (numpy(x) for x in model(ids))
    loss = model.evaluate(ids, (sequence + 2, pooled - 3), verbose=0)
    assert (loss[0] if isinstance(loss, list) else loss) == pytest.approx(7, rel=1e-5)
    model = BERTModel(TINY)
    model.compile("sgd")
    with pytest.raises(ValueError, match="has no loss of its own: compile it with a Keras loss"):
        model.fit(ids, (sequence, pooled), verbose=0)


def test_bad_inputs(rng):
    model, ids = BERTModel(TINY), rng.integers(0, 61, (2, 5))
    for types in (ids * 0 + 3, ids * 0 - 1):
        with pytest.raises(ValueError, match=r"`token_type_ids` must lie in \[0, type_vocab_size\) = \[0, 3\)"):
            model(ids, token_type_ids=types)
    with pytest.raises(ValueError, match="takes no 'labels'"):
        model({"input_ids": ids, "labels": ids})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_heads": 4}, "`d_model` must be a multiple of `num_heads`"),
        ({"type_vocab_size": 0}, "`type_vocab_size` must be"),
        ({"d_ff": -1}, "`d_ff` must be"),
        ({"hidden_dropout": 1.0}, "`hidden_dropout` must be a rate"),
        ({"attention_dropout": -0.1}, "`attention_dropout` must be a rate"),
        ({"classifier_dropout": 1.5}, "`classifier_dropout` must be a rate"),
        ({"activation": "gelu7"}, "`activation` must be one of"),
        ({"problem_type": "ranking"}, "`problem_type` must be"),
        ({"depth": 3}, "BERTConfig has no field `depth`"),
    ],
)
def test_config_errors(fields, message):
    with pytest.raises(ValueError, match=message):
        BERTModel(BERTConfig(vocab_size=61, num_layers=1, d_model=15, num_heads=3), **fields)
