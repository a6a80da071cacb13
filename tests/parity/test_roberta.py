"""RoBERTa beside Transformers, live: `make parity`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from golden.make_bert import make_labels
from golden.make_roberta import make_inputs
from outputs import all_outputs
from parity.peers import load_peer, peer_outputs
from parity.test_bert import assert_all_loaded, assert_equal, assert_there_and_back, save

from keras_tx.models import RobertaConfig
from keras_tx.models.core.registry import MODELS

HEADS = (
    "Model",
    "ForMaskedLM",
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
    "ForMultipleChoice",
)
FAMILIES = ("Roberta", "XLMRoberta", "Camembert")


def given_to(model: torch.nn.Module, seed: int) -> dict[str, np.ndarray]:
    """Inputs, without positions, and labels."""
    name, rng = type(model).__name__, np.random.default_rng(seed)
    given = make_inputs(name, model.config, rng)
    return given | make_labels(name, model.config, given, rng)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("head", HEADS)
def test_outputs_there_and_back(head, seed, tmp_path):
    """Each time of another of the three families."""
    name = FAMILIES[seed] + head
    peer = save(name, seed, tmp_path / "theirs", max_position_embeddings=14)
    assert_there_and_back(peer, given_to(peer, seed), name, getattr(transformers, name), tmp_path)


@pytest.mark.parametrize("head", HEADS)
def test_models_begun_here(head, tmp_path):
    """With our own defaults."""
    sizes = {"vocab_size": 61, "max_positions": 13, "num_layers": 2, "num_heads": 3, "d_model": 15, "d_ff": 29}
    model = MODELS[f"Roberta{head}"].cls(RobertaConfig(**sizes, num_labels=5))
    model.save_pretrained(tmp_path, format="huggingface")
    peer, info = load_peer(getattr(transformers, f"Roberta{head}"), tmp_path, output_loading_info=True)
    assert_all_loaded(info)
    given = given_to(peer, seed=3)
    assert_equal(all_outputs(model, given), peer_outputs(peer, given), atol=1e-4)
