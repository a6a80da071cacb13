"""Longformer beside Transformers, live: `make parity`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from golden.make_bert import make_labels
from golden.make_encoders import HEADS
from golden.make_gpt import BATCH, CHOICES
from golden.make_longformer import make_outputs, marked, task_mask
from outputs import all_outputs
from parity.peers import as_torch, drawn, load_peer
from parity.test_bert import assert_all_loaded, assert_equal, assert_there_and_back, save

from keras_tx.models import load_pretrained
from keras_tx.models.core.registry import MODELS

CLASSES = ["LongformerModel", *(f"LongformerFor{head}" for head in HEADS)]
POSITIONS = 47


def further_fields(seed: int) -> dict:
    """What a config has that BERT's lacks, each entry drawn."""
    one_of = drawn(np.random.default_rng(seed))
    windows = [one_of(4, 8, 16) for _ in range(one_of(1, 2, 3))]
    return {
        "attention_window": one_of(windows, windows[0]),
        "num_hidden_layers": len(windows),
        "max_position_embeddings": POSITIONS,
        "sep_token_id": one_of(2, 7),
    }


def given_to(model: torch.nn.Module, seed: int) -> dict[str, np.ndarray]:
    """Inputs and labels of texts longer or shorter than the window, padded on either side, with global tokens or not.

    They have position ids, for some.
    """
    name, rng = type(model).__name__, np.random.default_rng(seed)
    config, one_of = model.config, drawn(rng)
    length = one_of(7, 11, 23, 39)
    shape = (BATCH, CHOICES, length) if "Choice" in name else (BATCH, length)
    mask = np.ones(shape, int)
    mask[1, ..., 5:] = 0
    mask[2, ..., : length // 2] = 0
    ids = np.where(mask, rng.integers(8, config.vocab_size, shape), config.pad_token_id)
    given = {"input_ids": ids, "attention_mask": mask}
    if one_of(True, False):
        given["position_ids"] = rng.integers(0, POSITIONS, shape)
    if one_of(True, False):
        given["token_type_ids"] = rng.integers(0, config.type_vocab_size, shape)
    given = marked(name, config, given, rng)
    if "global_attention_mask" in given and one_of(True, False, False):
        del given["global_attention_mask"]
    if "Sequence" in name and one_of(True, False):
        given["global_attention_mask"] = rng.integers(0, 2, shape)
    return given | make_labels(name, config, given, rng)


def peer_outputs(model: torch.nn.Module, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    with torch.no_grad():
        return make_outputs(model.eval(), as_torch(given))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", CLASSES)
def test_outputs_there_and_back(name, seed, tmp_path):
    peer = save(name, seed, tmp_path / "theirs", **further_fields(seed))
    given = given_to(peer, seed)
    assert_there_and_back(peer, given, name, type(peer), tmp_path, peer_outputs)
    # As many tokens as there are, without maps: no pair is computed in vain.
    asked = given.get("global_attention_mask")
    asked = task_mask(name, peer.config, torch.from_numpy(given["input_ids"])).numpy() if asked is None else asked
    most = max(1, int((asked * given["attention_mask"]).sum(axis=-1).max()))
    model = load_pretrained(tmp_path / "theirs", max_global_tokens=most)
    wanted = {key: x for key, x in peer_outputs(peer, given).items() if not key.startswith("attentions")}
    assert_equal(all_outputs(model, given, return_attention=False), wanted, atol=1e-4)


@pytest.mark.parametrize("name", CLASSES)
def test_models_begun_here(name, tmp_path):
    """With our own defaults."""
    sizes = {"vocab_size": 61, "max_positions": POSITIONS, "num_layers": 2, "num_heads": 3, "d_model": 15, "d_ff": 29}
    cls = MODELS[name].cls
    model = cls(cls.config_class(**sizes, num_labels=5, attention_window=(8, 4), max_global_tokens=40))
    model.save_pretrained(tmp_path, format="huggingface")
    peer, info = load_peer(getattr(transformers, name), tmp_path, output_loading_info=True)
    assert_all_loaded(info)
    given = given_to(peer, seed=3)
    assert_equal(all_outputs(model, given), peer_outputs(peer, given), atol=1e-4)
