"""Labels that the model was not trained on, scored as Transformers' pipeline scores them."""

import json
from pathlib import Path

import numpy as np
import pytest

from keras_tx.models.bert.model import BERTForSequenceClassification
from keras_tx.tasks import Label, ZeroShotClassificationTask
from keras_tx.text import WordPieceTokenizer

GOLDEN = Path(__file__).parents[1] / "golden"
EXPECTED = json.loads((GOLDEN / "tasks" / "expected.json").read_text())
NAMES = ("music", "food", "sport")


def task_of(**config) -> ZeroShotClassificationTask:
    tokenizer = WordPieceTokenizer.from_pretrained(GOLDEN / "tasks")
    names = {"label_names": tuple(EXPECTED["names"]), **config}
    return ZeroShotClassificationTask(
        BERTForSequenceClassification.from_pretrained(GOLDEN / "bert" / "sequence", **names), tokenizer
    )


@pytest.fixture(scope="module")
def task() -> ZeroShotClassificationTask:
    return task_of()


@pytest.mark.parametrize(("labels", "options", "wanted"), EXPECTED["zero_shot"])
def test_labels_are_those_of_the_pipeline(task, labels, options, wanted):
    for ours, theirs in zip(task.predict(EXPECTED["texts"], labels, **options), wanted, strict=True):
        assert [label.label for label in ours] == [name for name, _ in theirs]
        assert [label.score for label in ours] == pytest.approx([score for _, score in theirs], abs=1e-5)


def test_the_text_is_cut_and_no_hypothesis(task):
    """Also of a hypothesis that is the longer of the two."""
    pair = "good food", "a film about music and food and sport"
    [row] = task.inputs([pair], "only_first")["input_ids"]
    kept, hypothesis = (task.tokenizer.encode(text)[1:-1] for text in pair)
    assert row.tolist() == [2, *kept, 3, *hypothesis, 3]
    with pytest.raises(ValueError, match="`max_length` is 13, which leaves no room for the text"):
        task.predict("good", ["film " * 12])


def test_scores_by_themselves_and_together(task, monkeypatch):
    logits = np.zeros((6, 5), "float32")
    logits[:, 2] = [1, 2, 3, 4, 0, 0]
    logits[:, 0] = [0, 2, 9, 1, 1, 1]
    monkeypatch.setattr(task, "outputs", lambda inputs: {"logits": logits})
    first, second = task.predict(["a", "b"], NAMES)
    assert [label.label for label in first] == ["sport", "food", "music"]
    assert second[0] == Label("music", pytest.approx(np.exp(4) / (np.exp(4) + 2)))
    first, second = task.predict(["a", "b"], NAMES, multi_label=True)
    assert [(label.label, label.score) for label in first] == [
        (name, pytest.approx(1 / (1 + np.exp(-x)))) for name, x in (("music", 1), ("food", 0), ("sport", -6))
    ]
    assert task.evaluate(["a", "b"], ["sport", "food"], NAMES) == pytest.approx({"accuracy": 0.5, "f1": 1 / 3})
    assert task.predict([], NAMES) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hypothesis_template": "It is music."}, "`hypothesis_template` must have a {}, .* got 'It is music.'"),
        ({"candidate_labels": []}, r"`candidate_labels` must name one label or more; got \[\]"),
        ({"candidate_labels": " , "}, "`candidate_labels` must name one label or more"),
        ({"labels": ["city"]}, "label 0 must be one of `candidate_labels`, music, food, sport; got 'city'"),
        ({"labels": ["music", "food"]}, "as many labels as examples"),
    ],
)
def test_what_cannot_be_asked(task, options, message):
    with pytest.raises(ValueError, match=message):
        task.evaluate(["a"], **{"labels": ["music"], "candidate_labels": NAMES, **options})


@pytest.mark.parametrize(("names", "ids"), [("no ENTAILMENT maybe x y", (0, 1)), ("entails a b c d", (4, 0))])
def test_which_labels_are_entailment_and_contradiction(names, ids):
    found = task_of(label_names=tuple(names.split()))
    assert (found.contradiction_id, found.entailment_id) == ids


def test_a_classifier_of_something_else():
    with pytest.raises(ValueError, match=r'a label that begins with "entail" and another: .* got LABEL_0, LABEL_1'):
        task_of(label_names=None)


@pytest.mark.slow
def test_fit_is_on_pairs(tmp_path):
    tokenizer = WordPieceTokenizer.from_pretrained(GOLDEN / "tasks")
    sizes = {"max_positions": 19, "num_layers": 1, "num_heads": 3, "d_model": 15, "d_ff": 29, "hidden_dropout": 0.0}
    names = ("contradiction", "entailment")
    config = {"vocab_size": tokenizer.vocab_size, "num_labels": 2, "label_names": names, "initializer_range": 0.2}
    task = ZeroShotClassificationTask(BERTForSequenceClassification(**config, **sizes), tokenizer)
    texts = {"music": ["anna sings", "bob sings", "anna play music"], "food": ["the baker ate", "bob ate good food"]}
    pairs = [
        ((text, f"This example is {name}."), names[name == of])
        for of, some in texts.items()
        for text in some
        for name in texts
    ]
    examples, labels = zip(*pairs, strict=True)
    options = {"epochs": 40, "batch_size": 5, "learning_rate": 1e-2, "layer_decay": 1.0, "verbose": 0}
    history = task.fit(examples, labels, validation_data=(examples, labels), **options)
    assert history.history["val_accuracy"][-1] == 1
    flat = [(text, name) for name, some in texts.items() for text in some]
    assert task.evaluate(*zip(*flat, strict=True), ["music", "food"])["accuracy"] == 1
    task.save_pretrained(tmp_path)
    again = ZeroShotClassificationTask.from_pretrained(tmp_path)
    np.testing.assert_allclose(again.scores("anna ate", NAMES), task.scores("anna ate", NAMES), atol=1e-6)
