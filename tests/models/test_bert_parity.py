"""BERT against Transformers, of every class: `golden/make_bert.py` and `make_bert_h5.py` made what is expected."""

from __future__ import annotations

from pathlib import Path

import pytest
from outputs import assert_outputs, assert_steps_of_adamw, read_golden

from keras_tx.models import load_pretrained

GOLDEN = Path(__file__).parents[1] / "golden"
CLASSES = {
    "model": "BERTModel",
    "pretraining": "BERTForPreTraining",
    "masked": "BERTForMaskedLM",
    "next": "BERTForNextSentencePrediction",
    "sequence": "BERTForSequenceClassification",
    "sequence_multi": "BERTForSequenceClassification",
    "sequence_regression": "BERTForSequenceClassification",
    "token": "BERTForTokenClassification",
    "answer": "BERTForQuestionAnswering",
    "choice": "BERTForMultipleChoice",
}
H5 = ("model", "masked", "next", "choice")
"""Of the TensorFlow classes, as `tf_model.h5`."""

CASES = [*(f"bert/{name}" for name in CLASSES), *(f"bert_h5/{name}" for name in H5)]
NAMES = {"prediction_logits": "logits", "last_hidden_state": "0", "pooler_output": "1"}
"""Of outputs that are called otherwise here, or have numbers."""


def load(case: str, **overrides):
    """The model, its inputs with labels, and what is expected."""
    model = load_pretrained(GOLDEN / case, **overrides)
    assert type(model).__name__ == CLASSES[Path(case).name]
    given, expected = read_golden(GOLDEN / case)
    return model, given, {NAMES.get(name, name): x for name, x in expected.items()}


def test_every_model_is_tested():
    assert set(CASES) == {f"{path.parent.name}/{path.name}" for path in GOLDEN.glob("bert*/*")}


@pytest.mark.parametrize("case", CASES)
def test_outputs(case):
    """All of them, at padding too."""
    model, given, expected = load(case)
    assert_outputs(model, given, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pretraining", "masked"])
def test_steps_of_adamw(name):
    """Each step's loss on the rows that are not padded at the left, as `test_gpt_parity.py` compares them."""
    model, given, expected = load(f"bert/{name}", hidden_dropout=0.0, attention_dropout=0.0)
    assert_steps_of_adamw(model, given, expected["steps"], jit_compile=name == "masked")
