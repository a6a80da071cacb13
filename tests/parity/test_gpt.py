"""GPT-1 and GPT-2 beside Transformers, live: `make parity`."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
import torch
import transformers
from golden.make_gpt import ADAMW, PAD, train
from outputs import all_outputs, assert_equal_at_tokens
from parity.peers import (
    CLASSES,
    as_torch,
    given_to,
    load_ours,
    load_peer,
    peer_outputs,
    save,
)

from keras_tx.models import GPTConfig
from keras_tx.models.core.registry import MODELS

LANGUAGE_MODELS = [name for name in CLASSES if "LMHead" in name]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", CLASSES)
def test_outputs_there_and_back(name, seed, tmp_path):
    """Logits, losses, hidden states and attention maps; and what we save is to Transformers what it saved itself."""
    peer = save(name, seed, tmp_path / "theirs")
    given = given_to(peer, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # nothing fresh, nothing left out
        model = load_ours(name, tmp_path / "theirs")
    wanted, mask = peer_outputs(peer, given), given["attention_mask"]
    assert_equal_at_tokens(all_outputs(model, given), wanted, mask, atol=1e-4)

    model.save_pretrained(tmp_path / "ours", format="huggingface", max_shard_size=("5GB", "2KB")[seed % 2])
    again, info = load_peer(type(peer), tmp_path / "ours", output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    weights, before = again.state_dict(), peer.state_dict()
    assert weights.keys() == before.keys()
    assert all(torch.equal(weights[key], before[key]) for key in before)
    assert_equal_at_tokens(peer_outputs(again, given), wanted, mask, atol=1e-5)


@pytest.mark.parametrize("name", CLASSES)
def test_models_begun_here(name, tmp_path):
    """With our own defaults, as far as the family has them."""
    norm = "pre" if "GPT2" in name else "post"
    config = GPTConfig(vocab_size=61, max_positions=13, num_layers=2, num_heads=3, d_model=15, norm_position=norm)
    model = MODELS[CLASSES[name]].cls(config, num_labels=5, pad_token_id=PAD)
    model.save_pretrained(tmp_path, format="huggingface")
    peer, info = load_peer(getattr(transformers, name), tmp_path, output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    given = given_to(peer, seed=3)
    assert_equal_at_tokens(all_outputs(model, given), peer_outputs(peer, given), given["attention_mask"], atol=1e-4)


@pytest.mark.parametrize("name", CLASSES)
def test_five_steps_of_adamw(name, tmp_path):
    seed = 11
    peer = save(name, seed, tmp_path)
    given = given_to(peer, seed)
    wanted = train(peer, as_torch(given))
    model = load_ours(name, tmp_path)
    rate, (beta_1, beta_2), epsilon, decay = ADAMW.values()
    model.compile(keras.optimizers.AdamW(rate, decay, beta_1, beta_2, epsilon))
    labels = {key: given.pop(key) for key in model.targets.values()}
    losses = [model.train_on_batch(given, labels) for _ in wanted]
    np.testing.assert_allclose(losses, wanted, atol=1e-4)
    assert wanted[-1] < wanted[0]


@pytest.mark.parametrize("search", [{}, {"num_beams": 4}], ids=["greedy", "beams"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_tokens(name, seed, search, tmp_path):
    """Of prompts padded at the left; GPT-1, of which Transformers hides padding from generation, gets none."""
    peer = save(name, seed, tmp_path)
    rng = np.random.default_rng(seed)
    ids = rng.integers(6, peer.config.vocab_size, (3, 4))
    mask = np.ones_like(ids)
    if "GPT2" in name:
        mask[1, :2] = 0
    options = {"max_new_tokens": 7, "do_sample": False, "pad_token_id": 5, "eos_token_id": [2, 7], **search}
    with torch.no_grad():
        wanted = peer.generate(torch.from_numpy(ids), attention_mask=torch.from_numpy(mask), **options).numpy()
    found = load_ours(name, tmp_path).generate(ids, attention_mask=mask, **options)
    np.testing.assert_array_equal(found, wanted)
