"""DistilBERT against Transformers, of every class: `golden/make_distilbert.py` made what is expected."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from outputs import all_outputs, read_golden

from keras_tx.models import load_pretrained

GOLDEN = Path(__file__).parents[1] / "golden" / "distilbert"
CLASSES = {
    "model": "DistilBertModel",
    "masked": "DistilBertForMaskedLM",
    "sequence": "DistilBertForSequenceClassification",
    "sequence_multi": "DistilBertForSequenceClassification",
    "token": "DistilBertForTokenClassification",
    "answer": "DistilBertForQuestionAnswering",
    "choice": "DistilBertForMultipleChoice",
}


def load(case: str, **overrides):
    """The model, its inputs with labels, and what is expected."""
    model = load_pretrained(GOLDEN / case, **overrides)
    assert type(model).__name__ == CLASSES[case]
    given, expected = read_golden(GOLDEN / case)
    return model, given, expected


def test_every_model_is_tested():
    assert set(CLASSES) == {path.name for path in GOLDEN.iterdir()}


@pytest.mark.parametrize("case", CLASSES)
def test_outputs(case):
    """All of them, at padding on either side too."""
    model, given, expected = load(case)
    expected.pop("steps", None)
    found = all_outputs(model, given)
    assert set(found) == set(expected)
    for name, want in expected.items():
        np.testing.assert_allclose(found[name], want, atol=1e-5, rtol=1e-5, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["masked", "sequence"])
def test_steps_of_adamw(name):
    """Each step's loss on the rows that are not padded at the left, as `test_gpt_parity.py` compares them."""
    model, given, expected = load(
        name, hidden_dropout=0.0, attention_dropout=0.0, classifier_dropout=0.0, qa_dropout=0.0
    )
    given = {key: x[:2] for key, x in given.items()}
    optimizer = keras.optimizers.AdamW(3e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.1)
    model.compile(optimizer, jit_compile=True)
    losses = [model.train_on_batch(given, return_dict=True)["loss"] for _ in expected["steps"]]
    np.testing.assert_allclose(losses, expected["steps"], atol=5e-5)
