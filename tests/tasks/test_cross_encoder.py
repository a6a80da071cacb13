"""Cross-encoders: scores of pairs, and documents in order; beside sentence-transformers in `tests/parity/`."""

import json

import numpy as np
import pytest
from helpers import numpy, randomize

from keras_tx.models import BERTForSequenceClassification
from keras_tx.models.bert.config import TINY_HEAD
from keras_tx.tasks import CrossEncoderTask
from keras_tx.text import WordPieceTokenizer, default_text

DOCUMENTS = ["it was the", "the man of the wife", "a good day", "no"]


@pytest.fixture(scope="module")
def tokenizer() -> WordPieceTokenizer:
    return WordPieceTokenizer.train([default_text()[:20_000]], 200)


@pytest.fixture
def task(tokenizer, rng) -> CrossEncoderTask:
    config = TINY_HEAD.replace(vocab_size=tokenizer.vocab_size, type_vocab_size=2, num_labels=1)
    return CrossEncoderTask(randomize(BERTForSequenceClassification(config), rng), tokenizer)


def test_scores_and_order(task):
    pairs = [("the wife", document) for document in DOCUMENTS]
    logits = numpy(task.model(task.tokenizer(["the wife"] * 4, DOCUMENTS))["logits"])[:, 0]
    scores = task.predict(pairs)
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits)), atol=1e-5)
    assert task.predict(pairs[0]) == pytest.approx(scores[:1])
    ranked = task.rank("the wife", DOCUMENTS, top_k=3)
    assert [one.id for one in ranked] == np.argsort(-scores)[:3].tolist()
    assert [one.score for one in ranked] == pytest.approx(-np.sort(-scores)[:3])


def test_the_activation_that_a_directory_says(task, tmp_path):
    plain = CrossEncoderTask(task.model, task.tokenizer, activation="linear")
    plain.save_pretrained(tmp_path)
    pair = [("it", "was")]
    assert CrossEncoderTask.from_pretrained(tmp_path).predict(pair) == pytest.approx(plain.predict(pair), abs=1e-6)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["sentence_transformers"]
    config["sbert_ce_default_activation_function"] = "torch.nn.modules.activation.Sigmoid"  # as before version 4
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert CrossEncoderTask.from_pretrained(tmp_path).predict(pair) == pytest.approx(task.predict(pair), abs=1e-6)
    config["sbert_ce_default_activation_function"] = "os.system"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"the activation os\.system is not known"):
        CrossEncoderTask.from_pretrained(tmp_path)


def test_several_labels(tokenizer, rng):
    config = TINY_HEAD.replace(vocab_size=tokenizer.vocab_size, type_vocab_size=2, num_labels=3)
    task = CrossEncoderTask(randomize(BERTForSequenceClassification(config), rng), tokenizer)
    pairs = [("it was", "the day"), ("a", "no")]
    logits = numpy(task.model(tokenizer(*map(list, zip(*pairs, strict=True))))["logits"])
    np.testing.assert_allclose(task.predict(pairs), logits, atol=1e-5)
    with pytest.raises(ValueError, match="`rank` needs a model of one label; this one has 3"):
        task.rank("a", ["b"])
