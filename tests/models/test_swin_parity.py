"""Swin against Transformers and timm: `golden/make_swin.py` and `make_swin_h5.py` made what is expected."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from helpers import numpy
from outputs import read_golden
from swin_helpers import run

from keras_tx.models import load_pretrained

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = sorted(f"{path.parent.name}/{path.name}" for path in GOLDEN.glob("swin*/*") if path.is_dir())


def test_the_cases():
    assert len(CASES) == 12 and sum("masked" in case for case in CASES) == 3


@pytest.mark.parametrize("case", CASES)
def test_outputs(case):
    """Logits, losses, every block's map and attention, and every stage's map; no tensor is lacking or left."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model = load_pretrained(GOLDEN / case)
    assert type(model).__name__ == ("SwinForMaskedImageModeling" if "masked" in case else "SwinTransformer")
    given, expected = read_golden(GOLDEN / case)
    found = run(model, given, return_attention=True, return_hidden_states=True)
    for name, want in expected.items():
        name, *index = name.split("/")
        name = "features" if name == "logits" and not model.config.num_classes and name not in found else name
        got = found[name][int(index[0])] if index else found[name]
        np.testing.assert_allclose(numpy(got), want, atol=1e-4, rtol=0, err_msg=f"{name} {index}")
    if "h5" not in case:
        blocks = sum(model.config.depths)
        assert len(expected) == 2 * blocks + 1 + len(model.config.depths) + 1 + ("masked" in case)
