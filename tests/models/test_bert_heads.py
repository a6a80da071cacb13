"""BERT's heads by their definitions: what they read, and which loss they give."""

import keras
import numpy as np
import pytest
from helpers import dense, gelu, layer_norm, normal, numpy, randomize, softmax

from keras_tx.models import (
    BERTForMaskedLM,
    BERTForMultipleChoice,
    BERTForNextSentencePrediction,
    BERTForPreTraining,
    BERTForQuestionAnswering,
    BERTForSequenceClassification,
    BERTForTokenClassification,
)
from keras_tx.models.bert.config import TINY_HEAD


@pytest.fixture
def ids(rng) -> np.ndarray:
    return rng.integers(0, 61, (3, 5))


def made(cls, rng, **overrides):
    return randomize(cls(TINY_HEAD, **overrides), rng)


def last_states(model, ids) -> np.ndarray:
    return numpy(model(ids, return_hidden_states=True)["hidden_states"][-1])


def pooled(model, ids) -> np.ndarray:
    return np.tanh(dense(model.backbone.pooler, last_states(model, ids)[..., 0, :]))


def token_logits(model, ids) -> np.ndarray:
    """Dense, activation, norm, the token table's transpose, and a bias for each token."""
    x = gelu(dense(model.head.transform, last_states(model, ids)))
    x = layer_norm(x, numpy(model.head.transform_norm.gamma), numpy(model.head.transform_norm.beta), 1e-12)
    return x @ numpy(model.backbone.token_embedding.embeddings).T + numpy(model.head.output_bias)


def cross_entropy(logits, labels) -> float:
    counts = labels != -100
    chosen = np.take_along_axis(softmax(logits), np.where(counts, labels, 0)[..., None], axis=-1)[..., 0]
    return -np.log(chosen)[counts].mean()


def test_masked_tokens(rng, ids):
    model = made(BERTForMaskedLM, rng)
    labels = np.where(rng.random((3, 5)) < 0.5, rng.integers(0, 61, (3, 5)), -100)
    outputs, expected = model(ids, labels=labels), token_logits(model, ids)
    np.testing.assert_allclose(outputs["logits"], expected, atol=2e-4)
    assert float(outputs["loss"]) == pytest.approx(cross_entropy(expected, labels), rel=1e-4)
    assert not hasattr(model, "pooler")


def test_the_output_projection_is_the_token_table(rng, ids):
    """Training one trains the other: they are one weight."""
    model = made(BERTForMaskedLM, rng)
    shapes = [tuple(weight.shape) for weight in model.trainable_weights]
    assert shapes.count((61, 15)) == 1 and (15, 61) not in shapes and shapes.count((61,)) == 1
    with pytest.raises(ValueError, match="`tie_embeddings` must be True"):
        BERTForMaskedLM(TINY_HEAD, tie_embeddings=False)


def test_pre_training_is_the_sum_of_both_tasks(rng, ids):
    model = made(BERTForPreTraining, rng)
    labels, following = np.where(ids % 2, ids, -100), np.array([1, 0, -100])
    outputs = model(ids, labels=labels, next_sentence_label=following)
    logits, relationship = token_logits(model, ids), dense(model.head.seq_relationship, pooled(model, ids))
    np.testing.assert_allclose(outputs["logits"], logits, atol=2e-4)
    np.testing.assert_allclose(outputs["seq_relationship_logits"], relationship, atol=1e-4)
    expected = cross_entropy(logits, labels) + cross_entropy(relationship, following)
    assert float(outputs["loss"]) == pytest.approx(expected, rel=1e-4)
    assert "loss" not in model(ids, labels=labels) and "loss" not in model(ids, next_sentence_label=following)
    model.compile("sgd")
    y = {"labels": labels, "next_sentence_label": following}
    assert model.evaluate(ids, y, verbose=0) == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ValueError, match='as "labels" and "next_sentence_label" among the inputs'):
        model.evaluate(ids, {"labels": labels}, verbose=0)


@pytest.mark.parametrize(
    ("cls", "layer"),
    [(BERTForNextSentencePrediction, "seq_relationship"), (BERTForSequenceClassification, "classifier")],
)
def test_heads_on_the_pooled_output(rng, ids, cls, layer):
    model, labels = made(cls, rng), np.array([1, 0, 1])
    outputs, expected = model(ids, labels=labels), dense(getattr(model.head, layer), pooled(model, ids))
    assert expected.shape == (3, 2 if cls is BERTForNextSentencePrediction else 5)
    np.testing.assert_allclose(outputs["logits"], expected, atol=1e-4)
    assert float(outputs["loss"]) == pytest.approx(cross_entropy(expected, labels), rel=1e-4)


def test_the_loss_of_a_problem(rng, ids):
    """Told from `num_labels` or named; the cases are those of `SequenceClassification`."""
    numbers, several = normal(rng, 3), rng.integers(0, 2, (3, 5)).astype("float32")
    for fields, y, definition in (
        ({"num_labels": 1}, numbers, lambda x: ((x[:, 0] - numbers) ** 2).mean()),
        ({"problem_type": "multi_label_classification"}, several, lambda x: (np.log1p(np.exp(x)) - several * x).mean()),
    ):
        outputs = made(BERTForSequenceClassification, rng, **fields)(ids, labels=y)
        assert float(outputs["loss"]) == pytest.approx(definition(numpy(outputs["logits"])), rel=1e-5)


def test_fit_with_a_loss_of_keras_and_weights(rng, ids):
    model = made(BERTForSequenceClassification, rng, hidden_dropout=0.0, attention_dropout=0.0)
    y, weights = np.array([1, 0, 4]), np.array([1.0, 2.0, 0.5], "float32")
    crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    expected = float(crossentropy(y, numpy(model(ids)["logits"]), weights))
    model.compile("sgd", loss=crossentropy)
    losses = model.fit(ids, y, sample_weight=weights, epochs=9, verbose=0).history["loss"]
    assert losses[0] == pytest.approx(expected, rel=1e-5)
    assert losses[-1] < losses[0]


def test_tokens_and_spans_are_linear_in_the_last_hidden_states(rng, ids):
    tokens, spans = made(BERTForTokenClassification, rng), made(BERTForQuestionAnswering, rng)
    expected = dense(tokens.head.classifier, last_states(tokens, ids))
    np.testing.assert_allclose(tokens(ids)["logits"], expected, atol=1e-4)
    starts, ends = np.moveaxis(dense(spans.head.qa_outputs, last_states(spans, ids)), -1, 0)
    first, last = np.array([1, 0, 4]), np.array([3, 7, 4])  # 7 lies past the end, and does not count
    outputs = spans(ids, start_positions=first, end_positions=last)
    np.testing.assert_allclose(outputs["start_logits"], starts, atol=1e-4)
    np.testing.assert_allclose(outputs["end_logits"], ends, atol=1e-4)
    loss = (cross_entropy(starts, first) + cross_entropy(ends, np.array([3, -100, 4]))) / 2
    assert float(outputs["loss"]) == pytest.approx(loss, rel=1e-4)
    for model in (tokens, spans):
        assert not hasattr(model, "pooler")


def test_a_choice_is_scored_text_by_text(rng):
    model = made(BERTForMultipleChoice, rng)
    ids, types = rng.integers(0, 61, (3, 2, 5)), rng.integers(0, 3, (3, 2, 5))
    mask, labels = np.ones((3, 2, 5), int), np.array([1, 0, 1])
    mask[1, 1, 3:] = 0
    given = {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}
    outputs = model(given, labels=labels, return_hidden_states=True, return_attention=True)
    assert outputs["attentions"][0].shape == (6, 3, 5, 5)
    states = numpy(outputs["hidden_states"][-1]).reshape(3, 2, 5, 15)
    scores = dense(model.head.classifier, np.tanh(dense(model.backbone.pooler, states[:, :, 0])))[..., 0]
    np.testing.assert_allclose(outputs["logits"], scores, atol=1e-4)
    assert float(outputs["loss"]) == pytest.approx(cross_entropy(scores, labels), rel=1e-4)
    for choice in (0, 1):
        alone = model({name: x[:, choice : choice + 1] for name, x in given.items()})["logits"]
        np.testing.assert_allclose(alone, scores[:, choice : choice + 1], atol=1e-4)
