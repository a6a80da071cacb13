"""ELECTRA, MPNet, ALBERT and ESM against Transformers, of every class: `golden/make_encoders.py` says how."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from outputs import assert_outputs, assert_steps_of_adamw, read_golden

from keras_tx.models import load_pretrained
from keras_tx.models.core.registry import MODELS

GOLDEN = Path(__file__).parents[1] / "golden"
FAMILIES = {"electra": "Electra", "mpnet": "MPNet", "albert": "Albert", "esm": "Esm"}
"""By their golden files' directories, how the names of their classes begin."""
CASES = sorted(f"{path.parent.name}/{path.name}" for family in FAMILIES for path in (GOLDEN / family).iterdir())
NAMES = {"prediction_logits": "logits"}
"""Of outputs that are called otherwise here."""
OF_TUPLES = {"last_hidden_state": "0", "pooler_output": "1"}
"""Of those that have numbers where the model gives a tuple."""


def architecture(case: str) -> str:
    [name] = json.loads((GOLDEN / case / "config.json").read_text())["architectures"]
    return name


def load(case: str, **overrides):
    """The model, its inputs with labels, and what is expected."""
    model = load_pretrained(GOLDEN / case, **overrides)
    given, expected = read_golden(GOLDEN / case)
    names = NAMES | (OF_TUPLES if "pooler_output" in expected else {})
    return model, given, {names.get(name, name): x for name, x in expected.items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_class_is_tested(family):
    ours = {name for name in MODELS if name.startswith(FAMILIES[family]) and not name.endswith("Backbone")}
    assert ours == {architecture(case) for case in CASES if case.startswith(f"{family}/")}


@pytest.mark.parametrize("case", CASES)
def test_outputs(case):
    """All of them, at padding on either side too."""
    model, given, expected = load(case)
    assert type(model).__name__ == architecture(case)
    assert_outputs(model, given, expected)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case.endswith(("pretraining", "masked", "choice"))])
def test_steps_of_adamw(case):
    """Each step's loss on the rows that are not padded at the left, as `test_gpt_parity.py` compares them."""
    rates = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "classifier_dropout": 0.0}
    rates |= {"summary_dropout": 0.0} if case.startswith("electra") else {}
    model, given, expected = load(case, **rates)
    assert_steps_of_adamw(model, given, expected["steps"])
