"""GPT-1 and GPT-2 against Transformers, of every class: `golden/make_gpt.py` made what is expected."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import numpy

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
    expected = dict(np.load(GOLDEN / name / "expected.npz"))
    given = {key.removeprefix("given/"): expected.pop(key) for key in list(expected) if key.startswith("given/")}
    return model, given, expected


def test_every_model_is_tested():
    assert set(CLASSES) == {path.name for path in GOLDEN.iterdir()}


@pytest.mark.parametrize("name", CLASSES)
def test_outputs(name):
    """All of them, at real tokens: padding that sees no token attends to nothing here, and to anything there."""
    model, given, expected = load(name)
    del expected["steps"]
    outputs = model(given, return_attention=True, return_hidden_states=True)
    for layers in ("hidden_states", "attentions"):
        outputs |= {f"{layers}/{i}": x for i, x in enumerate(outputs.pop(layers))}
    assert set(outputs) == set(expected)
    real = given["attention_mask"].astype(bool)
    for key, want in expected.items():
        found = numpy(outputs[key])
        if key.startswith("attentions"):
            found, want = (np.swapaxes(x, 1, 2) for x in (found, want))  # queries before heads
        if want.size % real.size == 0 and key != "loss":  # something for each token
            found, want = (x.reshape(*real.shape, -1)[real] for x in (found, want))
        np.testing.assert_allclose(found, want, atol=ATOL, rtol=ATOL, err_msg=key)


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
