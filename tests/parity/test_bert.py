"""BERT beside Transformers, live: `make parity`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from golden.make_bert import make_bert, make_inputs, make_labels
from outputs import all_outputs
from parity.peers import ACTIVATIONS, drawn, load_peer, peer_outputs

from keras_tx.models import BERTConfig, load_pretrained
from keras_tx.models.core.registry import MODELS

CLASSES = {
    name: name.replace("Bert", "BERT")
    for name in (
        "BertModel",
        "BertForPreTraining",
        "BertForMaskedLM",
        "BertForNextSentencePrediction",
        "BertForSequenceClassification",
        "BertForTokenClassification",
        "BertForQuestionAnswering",
        "BertForMultipleChoice",
    )
}
"""Theirs, and ours."""

NAMES = {"prediction_logits": "logits"}
"""Of outputs that are called otherwise here."""
OF_TUPLES = {"last_hidden_state": "0", "pooler_output": "1"}
"""Of those that have numbers, of a model with a pooler."""


def random_fields(name: str, rng: np.random.Generator) -> dict:
    """A config's entries, each of them drawn; nothing is dropped."""
    one_of = drawn(rng)
    heads = one_of(1, 2, 3, 5)
    fields = {
        "vocab_size": one_of(41, 53, 61),
        "max_position_embeddings": one_of(11, 13, 17),
        "type_vocab_size": one_of(1, 2, 3),
        "num_attention_heads": heads,
        "hidden_size": heads * one_of(3, 4, 7),
        "num_hidden_layers": one_of(1, 2, 3),
        "intermediate_size": one_of(19, 31),
        "hidden_act": one_of("gelu", *ACTIVATIONS),
        "layer_norm_eps": one_of(1e-12, 1e-5, 1e-3),
        "pad_token_id": one_of(0, 5),
        "num_labels": 2 if "Question" in name else one_of(1, 5, 7),
        "problem_type": None,
        "classifier_dropout": one_of(None, 0.0, 0.3),
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    if "Sequence" in name and fields["num_labels"] > 1:
        fields["problem_type"] = one_of(None, "single_label_classification", "multi_label_classification")
    return fields


def save(name: str, seed: int, directory: Path, **fields) -> torch.nn.Module:
    """Saves a random model, in one file or many, in any dtype; gives what Transformers loads in float32."""
    rng = np.random.default_rng(seed)
    model = make_bert(name, {**random_fields(name, rng), **fields}, seed)
    dtype = (torch.float32, torch.float32, torch.bfloat16, torch.float16)[rng.integers(4)]
    model.to(dtype).save_pretrained(directory, max_shard_size=("5GB", "3KB")[rng.integers(2)])
    return load_peer(type(model), directory)


def given_to(model: torch.nn.Module, seed: int) -> dict[str, np.ndarray]:
    """Inputs and labels."""
    name, rng = type(model).__name__, np.random.default_rng(seed)
    given = make_inputs(name, model.config, rng)
    return given | make_labels(name, model.config, given, rng)


def assert_equal(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray], atol: float) -> None:
    """Everywhere, at padding too."""
    names = NAMES | (OF_TUPLES if "pooler_output" in wanted else {})
    wanted = {names.get(name, name): x for name, x in wanted.items()}
    assert found.keys() == wanted.keys()
    for name, want in wanted.items():
        np.testing.assert_allclose(found[name], want, atol=atol, rtol=0, err_msg=name)


def assert_all_loaded(info: dict) -> None:
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))


def assert_there_and_back(
    peer: torch.nn.Module,
    given: dict,
    ours: str,
    cls: type,
    directory: Path,
    outputs_of: Callable = peer_outputs,
) -> None:
    """Outputs, losses, hidden states and attention maps; and what we save is to Transformers what it saved itself.

    Args:
        peer: what was saved in the directory's `theirs`.
        given: its inputs and labels.
        ours: the name of our class.
        cls: the peer's class of what we save.
        directory: where to.
        outputs_of: gives a peer's outputs of inputs and labels.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # nothing fresh, nothing left out
        model = load_pretrained(directory / "theirs")
    assert type(model).__name__ == ours
    assert_equal(all_outputs(model, given), outputs_of(peer, given), atol=1e-4)

    model.save_pretrained(directory / "ours", format="huggingface", max_shard_size="2KB")
    again, info = load_peer(cls, directory / "ours", output_loading_info=True)
    assert_all_loaded(info)
    weights, before = again.state_dict(), peer.state_dict()
    assert weights.keys() == before.keys()
    assert all(torch.equal(weights[key], before[key]) for key in before)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", CLASSES)
def test_outputs_there_and_back(name, seed, tmp_path):
    peer = save(name, seed, tmp_path / "theirs")
    assert_there_and_back(peer, given_to(peer, seed), CLASSES[name], type(peer), tmp_path)


@pytest.mark.parametrize("name", CLASSES)
def test_models_begun_here(name, tmp_path):
    """With our own defaults."""
    config = BERTConfig(vocab_size=61, max_positions=13, num_layers=2, num_heads=3, d_model=15, d_ff=29, num_labels=5)
    model = MODELS[CLASSES[name]].cls(config)
    model.save_pretrained(tmp_path, format="huggingface")
    peer, info = load_peer(getattr(transformers, name), tmp_path, output_loading_info=True)
    assert_all_loaded(info)
    given = given_to(peer, seed=3)
    assert_equal(all_outputs(model, given), peer_outputs(peer, given), atol=1e-4)
