"""DeBERTa beside Transformers, live: `make parity`."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from golden.make_bert import make_labels
from golden.make_deberta import make_inputs
from golden.make_encoders import HEADS
from outputs import all_outputs, assert_equal_at_tokens
from parity.peers import ACTIVATIONS, drawn, load_peer, peer_outputs
from parity.test_bert import assert_all_loaded, random_fields, save

from keras_tx.models import load_pretrained
from keras_tx.models.core.registry import MODELS
from keras_tx.ops.attention.disentangled import relative_rows

CLASSES = [*(f"DebertaV2For{head}" for head in HEADS), "DebertaV2Model"]


def further_fields(name: str, seed: int) -> dict:
    """What a config has that BERT's lacks, each entry drawn."""
    rng = np.random.default_rng(1000 + seed)
    one_of = drawn(rng)
    width = random_fields(name, np.random.default_rng(seed))["hidden_size"]
    fields = {
        "type_vocab_size": one_of(0, 0, 1, 3),
        "relative_attention": one_of(True, True, True, False),
        "pos_att_type": one_of([], ["c2p"], ["p2c"], ["p2c", "c2p"], "p2c|c2p", "c2p"),
        "position_buckets": one_of(-1, 2, 3, 4, 5, 6),
        "max_relative_positions": one_of(-1, 5, 7),
        "share_att_key": one_of(True, False),
        "norm_rel_ebd": one_of("none", "layer_norm"),
        "position_biased_input": one_of(True, False),
        "embedding_size": one_of(width, width, 3),
        "conv_kernel_size": one_of(0, 1, 3, 5),
        "conv_act": one_of("tanh", "gelu"),
        "pooler_hidden_act": one_of(*ACTIVATIONS),
        "layer_norm_eps": one_of(1e-7, 1e-3),
    }
    fields["legacy"] = fields["embedding_size"] != width or one_of(True, False)
    if "Sequence" in name and random_fields(name, np.random.default_rng(seed))["num_labels"] == 1:
        fields["problem_type"] = "regression"  # otherwise it gives the logits another shape
    return fields


def given_to(model: torch.nn.Module, seed: int) -> dict[str, np.ndarray]:
    """Inputs and labels."""
    name, rng = type(model).__name__, np.random.default_rng(seed)
    given = make_inputs(name, model.config, rng)
    return given | make_labels(name, model.config, given, rng)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", CLASSES)
def test_outputs_there_and_back(name, seed, tmp_path):
    peer = save(name, seed, tmp_path / "theirs", **further_fields(name, seed))
    given = given_to(peer, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # nothing fresh, nothing left out
        model = load_pretrained(tmp_path / "theirs")
    assert type(model).__name__ == name
    wanted = peer_outputs(peer, given)
    assert_equal_at_tokens(all_outputs(model, given), wanted, given["attention_mask"], atol=1e-4)
    assert_loads_again(model, peer, wanted, given, tmp_path / "ours")


def assert_loads_again(model, peer: torch.nn.Module, wanted: dict, given: dict, directory: Path) -> None:
    """What we save has every tensor that the peer has, but for norms that it does not use, and gives the same."""
    model.save_pretrained(directory, format="huggingface", max_shard_size="2KB")
    again, info = load_peer(type(peer), directory, output_loading_info=True)
    assert_all_loaded(info)
    weights, before = again.state_dict(), peer.state_dict()
    unused = () if peer.config.relative_attention else ("deberta.encoder.LayerNorm", "encoder.LayerNorm")
    assert weights.keys() == {key for key in before if not unused or not key.startswith(unused)}
    assert all(torch.equal(weights[key], before[key]) for key in weights)
    assert_equal_at_tokens(peer_outputs(again, given), wanted, given["attention_mask"], atol=1e-6)


@pytest.mark.parametrize("name", CLASSES)
def test_models_begun_here(name, tmp_path):
    """With our own defaults."""
    sizes = {"vocab_size": 61, "max_positions": 13, "num_layers": 2, "num_heads": 3, "d_model": 15, "d_ff": 29}
    cls = MODELS[name].cls
    model = cls(cls.config_class(**sizes, num_labels=5))
    model.save_pretrained(tmp_path, format="huggingface")
    peer, info = load_peer(getattr(transformers, name), tmp_path, output_loading_info=True)
    assert_all_loaded(info)
    given = given_to(peer, seed=3)
    found, wanted = all_outputs(model, given), peer_outputs(peer, given)
    assert_equal_at_tokens(found, wanted, given["attention_mask"], atol=1e-4)


@pytest.mark.parametrize(
    ("buckets", "farthest"),
    [
        (256, 512),
        (256, 1024),
        (256, 4096),
        (320, 512),
        (32, 128),
        (5, 13),
        (2, 7),
        (3, 9),
        (4, 9),
        (64, 700),
        (127, 500),
    ],
)
def test_rows_of_relative_positions(buckets, farthest):
    """Of the offsets of long texts, past the farthest of them."""
    from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

    offsets = np.arange(-3 * farthest, 3 * farthest + 1)
    theirs = make_log_bucket_position(torch.from_numpy(offsets), buckets, farthest).long() + buckets
    wanted = theirs.clamp(0, 2 * buckets - 1).numpy()
    np.testing.assert_array_equal(relative_rows(offsets.astype("int32"), farthest, buckets), wanted)
