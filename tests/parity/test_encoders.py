"""ELECTRA, MPNet, ALBERT and ESM beside Transformers, live: `make parity`."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import torch
import transformers
from golden.make_encoders import HEADS, make_inputs, make_labels
from outputs import all_outputs
from parity.peers import drawn, load_peer, peer_outputs
from parity.test_bert import assert_all_loaded, assert_equal, assert_there_and_back, random_fields, save

from keras_tx.models import load_pretrained
from keras_tx.models.core.registry import MODELS

CLASSES = [
    *(f"{family}For{head}" for family in ("Electra", "MPNet", "Albert") for head in HEADS),
    *("ElectraModel", "MPNetModel", "AlbertModel", "ElectraForPreTraining", "AlbertForPreTraining"),
    *("EsmModel", "EsmForMaskedLM", "EsmForSequenceClassification", "EsmForTokenClassification"),
]


def further_fields(name: str, seed: int) -> dict:
    """What a config has that BERT's lacks, each entry drawn."""
    rng = np.random.default_rng(seed)
    one_of = drawn(rng)
    if "MPNet" in name:
        return {"relative_attention_num_buckets": one_of(32, 37), "max_position_embeddings": one_of(11, 13)}
    if "Esm" in name:
        return {
            **{"num_attention_heads": 3, "hidden_size": one_of(12, 18), "mask_token_id": 7, "rope_theta": 1e4},
            "position_embedding_type": one_of("rotary", "rotary", "absolute"),
            **{entry: one_of(True, False) for entry in ("emb_layer_norm_before", "token_dropout")},
        }
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
    sizes = {"vocab_size": 61, "max_positions": 13, "num_layers": 2, "num_heads": 3, "d_model": 18, "d_ff": 29}
    cls = MODELS[name].cls
    model = cls(cls.config_class(**sizes, num_labels=2 if "PreTraining" in name else 5))
    model.save_pretrained(tmp_path, format="huggingface")
    peer, info = load_peer(getattr(transformers, name), tmp_path, output_loading_info=True)
    assert_all_loaded(info)
    given = given_to(peer, seed=3)
    assert_equal(all_outputs(model, given), peer_outputs(peer, given), atol=1e-4)


@pytest.mark.parametrize("name", ["EsmModel", "EsmForMaskedLM"])
def test_contacts_of_proteins(name, tmp_path):
    """With padding at the right, and no number compared there."""
    peer = save(name, 1, tmp_path, **further_fields(name, 1))
    ids = np.random.default_rng(2).integers(8, 41, (2, 9))
    ids[:, 0], ids[0, -1], ids[1, 5], ids[1, 6:] = 0, 2, 2, peer.config.pad_token_id
    mask = np.ones_like(ids)
    mask[1, 6:] = 0
    wanted = peer.eval().predict_contacts(*map(torch.from_numpy, (ids, mask))).detach().numpy()
    found = keras.ops.convert_to_numpy(load_pretrained(tmp_path).predict_contacts(ids, mask))
    assert found.shape == wanted.shape == (2, 7, 7)
    np.testing.assert_allclose(found[0], wanted[0], atol=1e-5)
    np.testing.assert_allclose(found[1, :4, :4], wanted[1, :4, :4], atol=1e-5)
