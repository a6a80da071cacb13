"""The forms in which tasks take examples, labels and weights."""

import numpy as np
import pytest

from keras_tx.models.bert.model import (
    BERTForQuestionAnswering,
    BERTForSequenceClassification,
    BERTForTokenClassification,
)
from keras_tx.tasks import QuestionAnsweringTask, TextClassificationTask, TokenClassificationTask
from keras_tx.tasks.examples import labelled, listed

NAMES = ("O", "B-PER", "I-PER", "B-LOC")
SENTENCE = ["Anna", "Smith", "of", "Paris"]
LABELS = ["B-PER", "I-PER", "O", "B-LOC"]
TEXTS, WANTED = ["good", "not bad", "the film"], [2, 0, 1]


def model_of(cls, tokenizer, **config):
    sizes = {"max_positions": 37, "num_layers": 1, "num_heads": 3, "d_model": 15, "d_ff": 29}
    return cls(vocab_size=tokenizer.vocab_size, **sizes, **config)


def text_task(tokenizer) -> TextClassificationTask:
    names = ("bad", "fair", "good")
    model = model_of(BERTForSequenceClassification, tokenizer, num_labels=3, label_names=names)
    return TextClassificationTask(model, tokenizer)


def dataset(*columns, batch: int | None = None):
    import tensorflow as tf

    found = tf.data.Dataset.from_tensor_slices(columns if len(columns) > 1 else columns[0])
    return found if batch is None else found.batch(batch)


def test_a_string_is_one_text(tokenizer):
    task = text_task(tokenizer)
    assert task.scores("good").shape == (1, 3)
    pair = ("Who met Bob?", "Anna met Bob.")
    assert task.pairs(pair) == task.pairs([pair]) == [pair]


@pytest.mark.slow
def test_a_string_is_one_text_for_every_task(tokenizer):
    [lone], [first, _] = text_task(tokenizer).predict("good"), text_task(tokenizer).predict(["good", "bad"])
    assert lone.label in ("bad", "fair", "good") and type(lone) is type(first)
    tokens = TokenClassificationTask(
        model_of(BERTForTokenClassification, tokenizer, num_labels=4, label_names=NAMES), tokenizer
    )
    assert len(tokens.predict("Anna met Bob")) == 1
    answers = QuestionAnsweringTask(model_of(BERTForQuestionAnswering, tokenizer), tokenizer)
    pair = ("Who met Bob?", "Anna met Bob.")
    assert answers.predict(pair) == answers.predict([pair])


def test_examples_of_any_container():
    for given in (TEXTS, tuple(TEXTS), np.array(TEXTS), [x.encode() for x in TEXTS], np.array(TEXTS, "S"), iter(TEXTS)):
        assert listed(given) == TEXTS
    assert listed(dataset(TEXTS)) == listed(dataset(TEXTS, batch=2)) == TEXTS
    assert listed([("a", b"b")]) == [("a", "b")]
    assert listed([["Anna", b"met"], np.array(["Bob"])], depth=1) == [["Anna", "met"], ["Bob"]]


def test_examples_with_their_labels():
    rows = list(zip(TEXTS, WANTED, strict=True))
    for given in (iter(rows), dataset(TEXTS, WANTED), dataset(TEXTS, WANTED, batch=2), iter([(TEXTS, WANTED)])):
        assert labelled(given, None) == (TEXTS, WANTED, None)
    weights = [1.0, 0.5, 0.0]
    assert labelled(dataset(TEXTS, WANTED, weights, batch=2), None) == (TEXTS, WANTED, weights)
    pairs = dataset((TEXTS, TEXTS), WANTED, batch=3)
    assert labelled(pairs, None).examples == list(zip(TEXTS, TEXTS, strict=True))
    assert labelled(dataset([SENTENCE], [LABELS], batch=1), None, depth=1) == ([SENTENCE], [LABELS], None)
    with pytest.raises(ValueError, match="give `labels`; or a dataset or generator of"):
        labelled(dataset(TEXTS), None)


def test_a_task_is_fitted_to_a_dataset_of_bytes_with_weights(tokenizer, monkeypatch):
    """The rows, labels and weights that the model is trained on are those of the lists."""
    import keras_tx.training.recipes.finetune as finetune

    seen = []
    monkeypatch.setattr(finetune, "fine_tune", lambda model, *data, **options: seen.append((data, options)))
    task = text_task(tokenizer)
    task.fit(TEXTS, ["good", "bad", "fair"], sample_weight=[1, 2, 0], class_weight={"good": 3.0, 0: 2.0})
    task.fit(dataset(TEXTS, WANTED, [1.0, 2.0, 0.0], batch=2), class_weight={2: 3.0, 0: 2.0})
    task.fit(TEXTS, np.array(WANTED, "float64")[:, None], sample_weight=np.array([1, 2, 0]))
    for (inputs, labels, _), options in seen:
        np.testing.assert_array_equal(inputs["input_ids"], seen[0][0][0]["input_ids"])
        assert labels.tolist() == WANTED and options["sample_weight"].tolist() == [1, 2, 0]
    assert seen[0][1]["class_weight"] == seen[1][1]["class_weight"] == {2: 3.0, 0: 2.0}
    with pytest.raises(ValueError, match="one for each of 3 examples; got 1"):
        task.fit(TEXTS, WANTED, sample_weight=[1.0])


def test_windows_have_the_weight_of_their_example(tokenizer, monkeypatch):
    import keras_tx.training.recipes.finetune as finetune

    seen = []
    monkeypatch.setattr(finetune, "fine_tune", lambda model, *data, **options: seen.append(options["sample_weight"]))
    model = model_of(BERTForTokenClassification, tokenizer, num_labels=4, label_names=NAMES)
    task = TokenClassificationTask(model, tokenizer)
    task.fit([SENTENCE * 20, SENTENCE], [LABELS * 20, LABELS], sample_weight=[0.5, 2.0])
    assert len(seen[0]) > 2 and seen[0].tolist() == [0.5] * (len(seen[0]) - 1) + [2.0]
