"""`tf_model.h5` of Transformers' TensorFlow classes, and what these computed: `golden/make_h5.py` made both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import numpy
from outputs import all_outputs, assert_equal_at_tokens, read_golden

from keras_tx.models import load_pretrained

GOLDEN = Path(__file__).parents[1] / "golden" / "h5"
CLASSES = {
    "gpt1_lm": "GPTModel",
    "gpt1_sequence": "GPTForSequenceClassification",
    "gpt1_double": "GPTDoubleHeadsModel",
    "gpt2_lm": "GPTModel",
    "gpt2_sequence": "GPTForSequenceClassification",
    "gpt2_double": "GPTDoubleHeadsModel",
}


def test_every_model_is_tested():
    assert set(CLASSES) == {path.name for path in GOLDEN.iterdir()}


@pytest.mark.parametrize("name", CLASSES)
def test_outputs(name):
    model = load_pretrained(GOLDEN / name)
    assert type(model).__name__ == CLASSES[name]
    given, expected = read_golden(GOLDEN / name)
    assert_equal_at_tokens(all_outputs(model, given), expected, given["attention_mask"], atol=1e-4)


def test_gpt1_has_the_exact_gelu_there():
    """The approximation, which the config's "gelu" stands for in PyTorch, is told from it by these numbers."""
    model = load_pretrained(GOLDEN / "gpt1_lm")
    given, expected = read_golden(GOLDEN / "gpt1_lm")
    approximate = type(model)(model.config.replace(activation="gelu_tanh"))
    approximate.set_weights(model.get_weights())
    real = given["attention_mask"].astype(bool)
    far = np.abs(numpy(approximate(given)["logits"]) - expected["logits"])[real].max()
    assert model.config.activation == "gelu" and far > 2e-4
