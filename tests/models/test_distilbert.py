"""DistilBERT by its definition: exact sizes, the paper's size, and what BERT has and it has not."""

import dataclasses

import numpy as np
import pytest
from helpers import count_parameters, numpy, randomize

import keras_tx.models
from keras_tx.models import DistilBertForMultipleChoice, DistilBertForQuestionAnswering, DistilBertModel
from keras_tx.models.distilbert.config import TINY, TINY_HEAD, VARIANTS

COUNTS = {
    "DistilBertModel": 66362880,
    "DistilBertForMaskedLM": 66985530,
    "DistilBertForSequenceClassification": 66955010,
    "DistilBertForTokenClassification": 66364418,
    "DistilBertForQuestionAnswering": 66364418,
    "DistilBertForMultipleChoice": 66954241,
}


@pytest.mark.parametrize("head", COUNTS)
def test_parameter_counts(head):
    cls = getattr(keras_tx.models, head)
    assert count_parameters(lambda: cls(VARIANTS["distilbert_base"])) == COUNTS[head]


def test_paper_config():
    [c] = VARIANTS.values()
    assert (c.num_layers, c.d_model, c.num_heads, c.d_ff) == (6, 768, 12, 3072)
    assert (c.vocab_size, c.max_positions, c.type_vocab_size, c.pad_token_id) == (30522, 512, 0, 0)
    assert (c.activation, c.norm_epsilon, c.initializer_range) == ("gelu", 1e-12, 0.02)
    assert (c.hidden_dropout, c.attention_dropout, c.classifier_rate, c.qa_dropout) == (0.1, 0.1, 0.2, 0.1)


def test_the_builder_takes_overrides():
    fields = {"num_layers": 1, "d_model": 30, "num_heads": 3, "d_ff": 19, "vocab_size": 11}
    model = keras_tx.models.create_model("distilbert_base", **fields)
    assert type(model) is DistilBertModel
    assert model.config == dataclasses.replace(VARIANTS["distilbert_base"], **fields)


def test_there_are_no_token_types(rng):
    model = randomize(DistilBertModel(TINY), rng)
    ids = np.array([[7, 8, 9]])
    assert set(model(ids)) == {"last_hidden_state"}
    assert not [path for path in model.weights_by_path() if "type" in path or "pooler" in path]
    with pytest.raises(ValueError, match="token_type_ids"):
        model(ids, token_type_ids=np.zeros_like(ids))
    with pytest.raises(ValueError, match="`type_vocab_size` must be 0 in DistilBERT; got 2"):
        DistilBertModel(TINY, type_vocab_size=2)


def test_choices_are_scored_by_the_first_token(rng):
    model = randomize(DistilBertForMultipleChoice(TINY_HEAD), rng)
    ids = rng.integers(1, TINY.vocab_size, (2, 3, 5))
    rows = numpy(model.backbone(ids.reshape(6, 5))["last_hidden_state"])[:, 0]
    head = model.head
    hidden = np.maximum(rows @ numpy(head.hidden.kernel) + numpy(head.hidden.bias), 0)
    wanted = hidden @ numpy(head.classifier.kernel) + numpy(head.classifier.bias)
    np.testing.assert_allclose(numpy(model(ids)["logits"]), wanted.reshape(2, 3), atol=1e-5)


def test_dropout_before_answers_is_of_training_alone(rng):
    model = randomize(DistilBertForQuestionAnswering(TINY_HEAD, hidden_dropout=0.0, attention_dropout=0.0), rng)
    ids = rng.integers(1, TINY.vocab_size, (2, 5))
    outputs = [numpy(model(ids, training=training)["start_logits"]) for training in (False, False, True)]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert not np.allclose(outputs[0], outputs[2])


def test_the_one_output_is_trained_by_its_name(rng):
    model = DistilBertModel(TINY_HEAD)
    ids = rng.integers(1, TINY.vocab_size, (2, 5))
    model.compile("sgd", loss={"last_hidden_state": "mse"}, run_eagerly=True)
    wanted = {"last_hidden_state": numpy(model(ids)["last_hidden_state"]) + 1}
    assert model.evaluate(ids, wanted, verbose=0) == pytest.approx(1.0, rel=1e-5)
