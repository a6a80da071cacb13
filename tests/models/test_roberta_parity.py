"""RoBERTa against Transformers, of every class: `golden/make_roberta.py` made what is expected."""

from __future__ import annotations

from pathlib import Path

import pytest
from outputs import assert_outputs, assert_steps_of_adamw, read_golden

from keras_tx.models import load_pretrained

GOLDEN = Path(__file__).parents[1] / "golden" / "roberta"
CLASSES = {
    "model": "RobertaModel",
    "masked": "RobertaForMaskedLM",
    "sequence": "RobertaForSequenceClassification",
    "token": "RobertaForTokenClassification",
    "answer": "RobertaForQuestionAnswering",
    "choice": "RobertaForMultipleChoice",
    "xlm_sequence": "XLMRobertaForSequenceClassification",
    "camembert_masked": "CamembertForMaskedLM",
}
NAMES = {"last_hidden_state": "0", "pooler_output": "1"}
"""Of outputs that have numbers here."""


def load(case: str, **overrides):
    """The model, its inputs with labels, and what is expected."""
    model = load_pretrained(GOLDEN / case, **overrides)
    assert type(model).__name__ == CLASSES[case]
    given, expected = read_golden(GOLDEN / case)
    return model, given, {NAMES.get(name, name): x for name, x in expected.items()}


def test_every_model_is_tested():
    assert set(CLASSES) == {path.name for path in GOLDEN.iterdir()}


@pytest.mark.parametrize("case", CLASSES)
def test_outputs(case):
    """All of them, at padding on either side too, where positions are those of the peer."""
    model, given, expected = load(case)
    assert_outputs(model, given, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["masked", "sequence"])
def test_steps_of_adamw(name):
    """Each step's loss on the rows that are not padded at the left, as `test_gpt_parity.py` compares them."""
    model, given, expected = load(name, hidden_dropout=0.0, attention_dropout=0.0)
    assert_steps_of_adamw(model, given, expected["steps"])
