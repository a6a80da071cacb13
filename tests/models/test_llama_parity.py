"""LLaMA, Mistral and Mixtral against Transformers: `golden/make_llama.py` made what is expected."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from outputs import all_outputs, assert_equal_at_tokens, read_golden

from keras_tx.models import load_pretrained

GOLDEN = Path(__file__).parents[1] / "golden" / "llama"
SCALINGS = {"default": None, "llama3": "llama3", "linear": "linear", "yarn": "yarn", "dynamic": "dynamic"}
SCALINGS |= dict.fromkeys(("mistral", "mixtral"))


def test_every_model_is_tested():
    assert set(SCALINGS) == {path.name for path in GOLDEN.iterdir()}


@pytest.mark.slow
@pytest.mark.any_backend
@pytest.mark.parametrize("name", SCALINGS)
def test_there_and_back(name, tmp_path):
    """All outputs, at real tokens; greedy tokens, of prompts padded at the left; and what is saved says the same."""
    model = load_pretrained(GOLDEN / name)
    scaling = model.config.rotary.scaling
    assert (scaling and scaling.rope_type) == SCALINGS[name]
    given, expected = read_golden(GOLDEN / name)
    generated = {key: expected.pop(key) for key in ("prompts", "seen", "tokens") if key in expected}
    assert_equal_at_tokens(all_outputs(model, given), expected, given["attention_mask"], atol=3e-5)
    if generated:
        prompts, tokens = generated["prompts"], generated["tokens"]
        new = tokens.shape[1] - prompts.shape[1]
        found = model.generate(prompts, attention_mask=generated["seen"], max_new_tokens=new)
        np.testing.assert_array_equal(found, tokens)

    model.save_pretrained(tmp_path, format="huggingface")
    theirs, ours = (json.loads((path / "config.json").read_text()) for path in (GOLDEN / name, tmp_path))
    theirs["head_dim"] = theirs["head_dim"] or theirs["hidden_size"] // theirs["num_attention_heads"]
    rope = theirs.pop("rope_parameters")
    assert rope.items() <= ours["rope_parameters"].items()
    left = {"transformers_version", "use_cache", "pretraining_tp", "dtype", "id2label", "label2id"}
    assert {key: ours[key] for key in theirs.keys() - left} == {key: theirs[key] for key in theirs.keys() - left}
    again = load_pretrained(tmp_path)
    np.testing.assert_allclose(again(given)["logits"], model(given)["logits"], atol=1e-6)
