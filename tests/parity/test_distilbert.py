"""DistilBERT beside Transformers, live: `make parity`."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
import transformers
from golden.make_bert import make_bert, make_labels
from golden.make_distilbert import make_inputs
from outputs import all_outputs
from parity.peers import ACTIVATIONS, drawn, load_peer, peer_outputs
from parity.test_bert import assert_all_loaded

from keras_tx.models import DistilBertConfig, load_pretrained
from keras_tx.models.core.registry import MODELS

CLASSES = [
    f"DistilBert{head}"
    for head in (
        "Model",
        "ForMaskedLM",
        "ForSequenceClassification",
        "ForTokenClassification",
        "ForQuestionAnswering",
        "ForMultipleChoice",
    )
]


def random_fields(name: str, rng: np.random.Generator) -> dict:
    """A config's entries, each of them drawn; nothing is dropped."""
    one_of = drawn(rng)
    heads = one_of(1, 2, 3, 5)
    fields = {
        "vocab_size": one_of(41, 53, 61),
        "max_position_embeddings": one_of(11, 13, 17),
        "n_heads": heads,
        "dim": heads * one_of(3, 4, 7),
        "n_layers": one_of(1, 2, 3),
        "hidden_dim": one_of(19, 31),
        "activation": one_of("gelu", *ACTIVATIONS),
        "sinusoidal_pos_embds": heads > 1 and heads % 2 == 0,
        "pad_token_id": one_of(0, 5),
        "num_labels": 2 if "Question" in name else one_of(1, 5, 7),
        **dict.fromkeys(("dropout", "attention_dropout", "qa_dropout", "seq_classif_dropout"), 0.0),
    }
    if "Sequence" in name and fields["num_labels"] > 1:
        fields["problem_type"] = one_of(None, "single_label_classification", "multi_label_classification")
    return fields


def given_to(model: torch.nn.Module, seed: int) -> dict[str, np.ndarray]:
    """Inputs and labels."""
    name, rng = type(model).__name__, np.random.default_rng(seed)
    given = make_inputs(name, model.config, rng)
    return given | make_labels(name, model.config, given, rng)


def assert_equal(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert found.keys() == wanted.keys()
    for name, want in wanted.items():
        np.testing.assert_allclose(found[name], want, atol=1e-4, rtol=0, err_msg=name)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", CLASSES)
def test_outputs_there_and_back(name, seed, tmp_path):
    rng = np.random.default_rng(seed)
    made = make_bert(name, random_fields(name, rng), seed)
    made.to((torch.float32, torch.bfloat16)[seed % 2]).save_pretrained(tmp_path / "theirs")
    peer = load_peer(type(made), tmp_path / "theirs")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # nothing fresh, nothing left out
        model = load_pretrained(tmp_path / "theirs")
    given = given_to(peer, seed)
    assert_equal(all_outputs(model, given), peer_outputs(peer, given))

    model.save_pretrained(tmp_path / "ours", format="huggingface", max_shard_size="2KB")
    again, info = load_peer(type(made), tmp_path / "ours", output_loading_info=True)
    assert_all_loaded(info)
    weights, before = again.state_dict(), peer.state_dict()
    assert weights.keys() == before.keys() and all(torch.equal(weights[key], before[key]) for key in before)


@pytest.mark.parametrize("name", CLASSES)
def test_models_begun_here(name, tmp_path):
    """With our own defaults."""
    sizes = {"vocab_size": 61, "max_positions": 13, "num_layers": 2, "num_heads": 3, "d_model": 15, "d_ff": 29}
    model = MODELS[name].cls(DistilBertConfig(**sizes, num_labels=5))
    model.save_pretrained(tmp_path, format="huggingface")
    peer, info = load_peer(getattr(transformers, name), tmp_path, output_loading_info=True)
    assert_all_loaded(info)
    given = given_to(peer, seed=3)
    assert_equal(all_outputs(model, given), peer_outputs(peer, given))
