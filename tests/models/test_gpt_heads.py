"""GPT's heads by their definitions: which token, which loss, which text."""

import numpy as np
import pytest
from helpers import dense, normal, numpy, randomize, softmax

from keras_tx.models import (
    GPTDoubleHeadsModel,
    GPTForQuestionAnswering,
    GPTForSequenceClassification,
    GPTForTokenClassification,
)
from keras_tx.models.gpt.config import TINY_HEAD

IDS = np.array([[7, 3, 9, 3, 3], [3, 3, 8, 3, 11], [3, 3, 3, 3, 3]])


def made(cls, rng, **overrides):
    return randomize(cls(TINY_HEAD, **overrides), rng)


def last_states(model, given) -> np.ndarray:
    return numpy(model(given, return_hidden_states=True)["hidden_states"][-1])


def test_a_text_is_classified_by_its_last_token(rng):
    """Each rule at texts padded on either side, and at one that has nothing but padding."""
    mask = np.array([[1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0]])
    for pad, given, last in (
        (3, {"input_ids": IDS}, [2, 4, 0]),
        (3, {"input_ids": IDS, "attention_mask": np.ones((3, 5), "int32")}, [2, 4, 0]),
        (None, {"input_ids": IDS}, [4, 4, 4]),
        (None, {"input_ids": IDS, "attention_mask": mask}, [2, 4, 0]),
        (11, {"input_ids": IDS}, [4, 3, 4]),
    ):
        model = made(GPTForSequenceClassification, rng, pad_token_id=pad)
        expected = dense(model.head.classifier, last_states(model, given)[np.arange(3), last])
        np.testing.assert_allclose(model(given)["logits"], expected, atol=1e-5)


def test_the_loss_of_a_problem(rng):
    """Named by `problem_type`, or told from the number of labels and their dtype."""
    numbers, classes = normal(rng, 3), np.array([4, 0, 2])
    several, several_of = rng.integers(0, 2, (3, 5)).astype("float32"), {"problem_type": "multi_label_classification"}
    for fields, y, definition in (
        ({"num_labels": 1}, numbers, lambda x: ((x[:, 0] - numbers) ** 2).mean()),
        ({"num_labels": 1}, numbers[:, None], lambda x: ((x[:, 0] - numbers) ** 2).mean()),
        ({"problem_type": "regression"}, several, lambda x: ((x - several) ** 2).mean()),
        ({}, classes, lambda x: -np.log(softmax(x)[np.arange(3), classes]).mean()),
        (several_of, several, lambda x: (np.log1p(np.exp(x)) - several * x).mean()),
        (several_of, several.astype("int32"), lambda x: (np.log1p(np.exp(x)) - several * x).mean()),
    ):
        model = made(GPTForSequenceClassification, rng, **fields)
        outputs = model(IDS, labels=y)
        assert float(outputs["loss"]) == pytest.approx(definition(numpy(outputs["logits"]).astype("float64")), abs=1e-5)
    with pytest.raises(ValueError, match="`labels` must be whole numbers"):
        made(GPTForSequenceClassification, rng, problem_type="single_label_classification")(IDS, labels=numbers)


def test_tokens_and_spans_are_linear_in_the_last_hidden_states(rng):
    for cls, layer, names in (
        (GPTForTokenClassification, "classifier", ["logits"]),
        (GPTForQuestionAnswering, "qa_outputs", ["start_logits", "end_logits"]),
    ):
        model = made(cls, rng)
        expected = dense(getattr(model.head, layer), last_states(model, IDS))
        found = [numpy(model(IDS)[name]) for name in names]
        np.testing.assert_allclose(found[0] if len(found) == 1 else np.stack(found, axis=-1), expected, atol=1e-5)


def test_one_position_alone_gives_no_loss(rng):
    model = made(GPTForQuestionAnswering, rng)
    assert "loss" not in model(IDS, start_positions=np.array([1, 2, 3]))


@pytest.mark.parametrize("activation", [None, "tanh"])
def test_a_choice_is_scored_at_its_position(rng, activation):
    model = made(GPTDoubleHeadsModel, rng, summary_activation=activation)
    ids, at = rng.integers(0, 61, (3, 2, 5)), np.array([[4, 1], [0, 3], [2, 2]])
    states = last_states(model, ids).reshape(3, 2, 5, 15)
    for positions in (at, None):
        outputs = model(ids, mc_token_ids=positions, labels=ids, mc_labels=np.array([1, 0, 1]))
        chosen = np.take_along_axis(states, (np.full((3, 2), 4) if positions is None else at)[..., None, None], axis=2)
        scores = dense(model.head.choice_head, chosen[:, :, 0])[..., 0]
        scores = np.tanh(scores) if activation else scores
        np.testing.assert_allclose(outputs["mc_logits"], scores, atol=1e-5)
        expected = -np.log(softmax(scores)[np.arange(3), [1, 0, 1]]).mean()
        assert float(outputs["mc_loss"]) == pytest.approx(expected, abs=1e-5)
    table = numpy(model.backbone.token_embedding.embeddings).T
    np.testing.assert_allclose(numpy(model(ids)["logits"]), states @ table, atol=1e-5)


@pytest.mark.slow
def test_double_heads_train_on_the_sum_of_the_losses_given(rng):
    ids = rng.integers(0, 61, (3, 2, 5))
    y = {"labels": ids, "mc_labels": np.array([1, 0, 1])}
    model = made(GPTDoubleHeadsModel, rng)
    model.compile("sgd")
    outputs = model(ids, **y)
    for given, expected in ((y, outputs["loss"] + outputs["mc_loss"]), ({"labels": ids}, outputs["loss"])):
        assert model.evaluate(ids, given, verbose=0) == pytest.approx(float(expected), rel=1e-5)
        assert model.evaluate({"input_ids": ids, **given}, verbose=0) == pytest.approx(float(expected), rel=1e-5)
    with pytest.raises(ValueError, match=r"`y` must be a dict of 'labels', 'mc_labels'; got a "):
        model.evaluate(ids, ids, verbose=0)


def test_errors_of_choices(rng):
    model, ids = made(GPTDoubleHeadsModel, rng), rng.integers(0, 61, (3, 2, 5))
    for positions, message in (
        (np.full((3, 2), 5), r"`mc_token_ids` must lie in \[0, length\) = \[0, 5\)"),
        (np.full((3, 3), 1), r"`mc_token_ids` must have shape \(3, 2\)"),
        (np.full((3, 2), 0.5), "`mc_token_ids` must be integers"),
    ):
        with pytest.raises(ValueError, match=message):
            model(ids, mc_token_ids=positions)
    with pytest.raises(ValueError, match="`activation` must be one of"):
        GPTDoubleHeadsModel(TINY_HEAD, summary_activation="swish7")
