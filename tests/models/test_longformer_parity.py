"""Longformer against Transformers, of every class: `golden/make_longformer.py` made what is expected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from outputs import assert_outputs, assert_steps_of_adamw, read_golden

from keras_tx.models import load_pretrained
from keras_tx.models.core.registry import MODELS

GOLDEN = Path(__file__).parents[1] / "golden" / "longformer"
CASES = sorted(path.name for path in GOLDEN.iterdir())
OF_TUPLES = {"last_hidden_state": "0", "pooler_output": "1"}
"""Of outputs that have numbers where the model gives a tuple."""
STEPPED = ("masked", "sequence", "token", "choice")
"""Not of answers, whose loss reads padding, the row of which torch does not train."""


def architecture(case: str) -> str:
    [name] = json.loads((GOLDEN / case / "config.json").read_text())["architectures"]
    return name


def load(case: str, **overrides):
    """The model, its inputs with labels, and what is expected."""
    given, expected = read_golden(GOLDEN / case)
    names = OF_TUPLES if "pooler_output" in expected else {}
    return load_pretrained(GOLDEN / case, **overrides), given, {names.get(key, key): x for key, x in expected.items()}


def test_every_class_is_tested():
    ours = {name for name in MODELS if name.startswith("Longformer") and not name.endswith("Backbone")}
    assert ours == {architecture(case) for case in CASES}


@pytest.mark.parametrize("case", CASES)
def test_outputs(case):
    """Maps, hidden states, logits and losses, at padding on either side too; by way of all pairs, for the maps."""
    model, given, expected = load(case)
    assert type(model).__name__ == architecture(case)
    assert_outputs(model, given, expected)


@pytest.mark.parametrize("case", CASES)
def test_outputs_with_few_global_tokens(case):
    """The same, without maps, of texts longer than the window: no pair is computed in vain."""
    _, given, expected = load(case)
    model = load_pretrained(GOLDEN / case, max_global_tokens=6)
    without = {name: x for name, x in expected.items() if not name.startswith("attentions")}
    assert_outputs(model, given, without, return_attention=False)


@pytest.mark.slow
@pytest.mark.parametrize("case", STEPPED)
def test_steps_of_adamw(case):
    """Each step's loss on the rows that are not padded at the left."""
    model, given, expected = load(case, hidden_dropout=0.0, attention_dropout=0.0, max_global_tokens=6)
    assert_steps_of_adamw(model, given, expected["steps"])
