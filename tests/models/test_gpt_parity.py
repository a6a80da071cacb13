"""GPT-1 and GPT-2 against Transformers, of every class: `golden/make_gpt.py` made what is expected."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from outputs import all_outputs, assert_equal_at_tokens, read_golden

import keras_tx.models

GOLDEN = Path(__file__).parents[1] / "golden" / "gpt"
CLASSES = {
    "gpt1_lm": "GPTModel",
    "gpt1_double": "GPTDoubleHeadsModel",
    "gpt1_sequence": "GPTForSequenceClassification",
    "gpt2_lm": "GPTModel",
    "gpt2_lm_scaled": "GPTModel",
    "gpt2_double": "GPTDoubleHeadsModel",
    "gpt2_sequence": "GPTForSequenceClassification",
    "gpt2_sequence_multi": "GPTForSequenceClassification",
    "gpt2_token": "GPTForTokenClassification",
    "gpt2_answer": "GPTForQuestionAnswering",
}
ATOL = 1e-5


def load(name: str, **overrides):
    """The model, its inputs with labels, and what is expected."""
    model = getattr(keras_tx.models, CLASSES[name]).from_pretrained(GOLDEN / name, **overrides)
    return model, *read_golden(GOLDEN / name)


def test_every_model_is_tested():
    assert set(CLASSES) == {path.name for path in GOLDEN.iterdir()}


@pytest.mark.parametrize("name", CLASSES)
def test_outputs(name):
    """All of them, at real tokens: padding that sees no token attends to nothing here, and to anything there."""
    model, given, expected = load(name)
    del expected["steps"]
    assert_equal_at_tokens(all_outputs(model, given), expected, given["attention_mask"], ATOL)


DROPOUTS = ("embedding_dropout", "attention_dropout", "residual_dropout", "classifier_dropout", "summary_dropout")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(CLASSES) - {"gpt2_double", "gpt2_sequence"}))
def test_steps_of_adamw(name):
    """Each step's loss, under XLA for language models; weight decay on every weight, as torch has it by default.

    What is left of a difference, up to 3e-5 here, comes of epsilon: Keras adds it to the second moment's root before
    the correction of its bias, torch after.
    """
    model, given, expected = load(name, **dict.fromkeys(DROPOUTS, 0.0))
    optimizer = keras.optimizers.AdamW(3e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.1)
    model.compile(optimizer, jit_compile=name.endswith("lm"))
    losses = [model.train_on_batch(given, return_dict=True)["loss"] for _ in expected["steps"]]
    np.testing.assert_allclose(losses, expected["steps"], atol=5e-5)
