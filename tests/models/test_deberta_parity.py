"""DeBERTa against Transformers, of every class: `golden/make_deberta.py` made what is expected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from outputs import all_outputs, assert_equal_at_tokens, assert_steps_of_adamw, read_golden

from keras_tx.models import load_pretrained
from keras_tx.models.core.registry import MODELS

GOLDEN = Path(__file__).parents[1] / "golden/deberta"
CASES = sorted(path.name for path in GOLDEN.iterdir())


def architecture(case: str) -> str:
    [name] = json.loads((GOLDEN / case / "config.json").read_text())["architectures"]
    return name


def test_every_class_is_tested():
    ours = {name for name in MODELS if name.startswith("DebertaV2") and not name.endswith("Backbone")}
    assert ours == {architecture(case) for case in CASES}


@pytest.mark.parametrize("case", CASES)
def test_outputs(case):
    """Losses, and all outputs at tokens: padding sees nothing here, and anything in a peer."""
    model, (given, expected) = load_pretrained(GOLDEN / case), read_golden(GOLDEN / case)
    assert type(model).__name__ == architecture(case)
    expected.pop("steps", None)
    assert_equal_at_tokens(all_outputs(model, given), expected, given["attention_mask"], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["masked", "own", "answer", "choice"])
def test_steps_of_adamw(case):
    rates = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "classifier_dropout": 0.0}
    model, (given, expected) = load_pretrained(GOLDEN / case, **rates), read_golden(GOLDEN / case)
    assert_steps_of_adamw(model, given, expected["steps"])
