"""T5 against Transformers, of every class: `golden/make_t5.py` and `make_t5_h5.py` made what is expected."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import numpy
from outputs import all_outputs, read_golden

from keras_tx.models import load_pretrained

GOLDEN = Path(__file__).parents[1] / "golden"
CLASSES = {
    "t5/first": "T5Model",
    "t5/second": "T5Model",
    "t5/encoder": "T5EncoderModel",
    "t5/sequence": "T5ForSequenceClassification",
    "t5/token": "T5ForTokenClassification",
    "t5/answer": "T5ForQuestionAnswering",
    "t5_h5/first": "T5Model",
    "t5_h5/second": "T5Model",
    "t5_h5/encoder": "T5EncoderModel",
}


def load(case: str, **overrides):
    """The model, its inputs with labels, and what is expected."""
    model = load_pretrained(GOLDEN / case, **overrides)
    assert type(model).__name__ == CLASSES[case]
    return model, *read_golden(GOLDEN / case)


def test_every_model_is_tested():
    assert set(CLASSES) == {f"{path.parent.name}/{path.name}" for path in GOLDEN.glob("t5*/*") if path.is_dir()}


@pytest.mark.parametrize("case", CLASSES)
def test_outputs(case):
    """All of them, at padding too: logits, losses, hidden states and maps of three kinds."""
    model, given, expected = load(case)
    expected.pop("steps", None)
    found = all_outputs(model, given)
    assert set(found) == set(expected)
    for name, want in expected.items():
        np.testing.assert_allclose(found[name], want, atol=2e-5, rtol=2e-5, err_msg=name)


@pytest.mark.parametrize("case", ["t5/first", "t5/second"])
def test_norms_and_biases_of_positions_count(case):
    """What is expected tells a model without them from this one."""
    model, given, expected = load(case)
    body = model.backbone
    for layer in (body.encoder_bias, body.decoder_bias, body.encoder.norm, body.decoder.blocks[0].attention_norm):
        weight = layer.weights[0]
        before = numpy(weight)
        weight.assign(np.ones_like(before))
        assert not np.allclose(numpy(model(given)["logits"]), expected["logits"], atol=1e-3), layer.name
        weight.assign(before)


@pytest.mark.slow
@pytest.mark.parametrize(("case", "atol"), [("t5/first", 1e-4), ("t5/second", 5e-4)])
def test_steps_of_adamw(case, atol):
    """Each step's loss, under XLA; weight decay on every weight, as torch has it by default.

    Gradients are torch's to 1e-5; what is left comes of epsilon, as in `test_gpt_parity.py`, where gradients are small.
    """
    model, given, expected = load(case, dropout=0.0)
    optimizer = keras.optimizers.AdamW(3e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.1)
    model.compile(optimizer, jit_compile=True)
    losses = [model.train_on_batch(given, return_dict=True)["loss"] for _ in expected["steps"]]
    np.testing.assert_allclose(losses, expected["steps"], atol=atol)
