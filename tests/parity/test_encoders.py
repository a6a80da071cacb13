"""ELECTRA, MPNet and ALBERT beside Transformers, live: `make parity`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from golden.make_encoders import HEADS, make_inputs, make_labels
from outputs import all_outputs
from parity.peers import drawn, load_peer, peer_outputs
from parity.test_bert import assert_all_loaded, assert_equal, assert_there_and_back, random_fields, save

from keras_tx.models.core.registry import MODELS

CLASSES = [
    *(f"{family}For{head}" for family in ("Electra", "MPNet", "Albert") for head in HEADS),
    *("ElectraModel", "MPNetModel", "AlbertModel", "ElectraForPreTraining", "AlbertForPreTraining"),
]


def further_fields(name: str, seed: int) -> dict:
    """What a config has that BERT's lacks, each entry drawn."""
    rng = np.random.default_rng(seed)
    one_of = drawn(rng)
    if "MPNet" in name:
        return {"relative_attention_num_buckets": one_of(32, 37), "max_position_embeddings": one_of(11, 13)}
    width = random_fields(name, np.random.default_rng(seed))["hidden_size"]
    fields = {"embedding_size": one_of(3, 8, width)}
    if "Electra" in name:
        return {**fields, "summary_activation": one_of("gelu", "tanh", ""), "summary_last_dropout": 0.0}
    if "PreTraining" in name:
        fields["num_labels"] = 2
    layers = one_of(2, 3, 5)
    groups = {"num_hidden_groups": one_of(1, 2, layers), "inner_group_num": one_of(1, 1, 2)}
    return {**fields, **groups, "num_hidden_layers": layers, "classifier_dropout_prob": 0.0}


def given_to(model: torch.nn.Module, seed: int) -> dict[str, np.ndarray]:
    """Inputs and labels."""
    name, rng = type(model).__name__, np.random.default_rng(seed)
    given = make_inputs(name, model.config, rng)
    return given | make_labels(name, model.config, given, rng)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", CLASSES)
def test_outputs_there_and_back(name, seed, tmp_path):
    peer = save(name, seed, tmp_path / "theirs", **further_fields(name, seed))
    assert_there_and_back(peer, given_to(peer, seed), name, type(peer), tmp_path)


@pytest.mark.parametrize("name", CLASSES)
def test_models_begun_here(name, tmp_path):
    """With our own defaults."""
    sizes = {"vocab_size": 61, "max_positions": 13, "num_layers": 2, "num_heads": 3, "d_model": 15, "d_ff": 29}
    cls = MODELS[name].cls
    model = cls(cls.config_class(**sizes, num_labels=2 if "PreTraining" in name else 5))
    model.save_pretrained(tmp_path, format="huggingface")
    peer, info = load_peer(getattr(transformers, name), tmp_path, output_loading_info=True)
    assert_all_loaded(info)
    given = given_to(peer, seed=3)
    assert_equal(all_outputs(model, given), peer_outputs(peer, given), atol=1e-4)
