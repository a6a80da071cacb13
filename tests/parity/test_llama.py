"""LLaMA, Mistral and Mixtral beside Transformers, live: `make parity`."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch
import transformers
from golden.make_llama import PAD, make_model, rope
from outputs import all_outputs, assert_equal_at_tokens
from parity.peers import load_peer, peer_outputs

from keras_tx.models import GPTForQuestionAnswering, GPTModel, load_pretrained

CLASSES = {
    "LlamaForCausalLM": "GPTModel",
    "LlamaForSequenceClassification": "GPTForSequenceClassification",
    "LlamaForTokenClassification": "GPTForTokenClassification",
    "LlamaForQuestionAnswering": "GPTForQuestionAnswering",
}
CLASSES |= {name.replace("Llama", kin): ours for name, ours in CLASSES.items() for kin in ("Mistral", "Mixtral")}
OTHERS = {
    "plain": {},
    "tied": {"attention_bias": True, "tie_word_embeddings": True, "rms_norm_eps": 1e-3, **rope("default")},
    "wide": {"mlp_bias": True, "num_key_value_heads": 3, "head_dim": 10},
    "linear": rope("linear", factor=2.0),
    "dynamic": {**rope("dynamic", factor=3.0), "max_position_embeddings": 6},
    "yarn": rope("yarn", factor=5.0, original_max_positions=6, attention_factor=1.3, truncate=False),
    "llama3": rope("llama3", factor=8.0, low_freq_factor=0.5, high_freq_factor=2.0, original_max_positions=6),
}
SCALED = ("linear", "dynamic", "yarn", "llama3")
KIN = {
    "Mistral": {"window": {"sliding_window": 3}, "no window": {"sliding_window": None, "tie_word_embeddings": True}},
    "Mixtral": {
        "experts": {"num_local_experts": 5, "num_key_value_heads": 3},
        "windows too": {"num_local_experts": 3, "num_experts_per_tok": 3, "sliding_window": 3},
        "one expert": {"num_local_experts": 2, "num_experts_per_tok": 1},
    },
}
OTHERS |= {kind: fields for kinds in KIN.values() for kind, fields in kinds.items()}


def kinds_of(name: str) -> list[str]:
    kin = next((kinds for prefix, kinds in KIN.items() if name.startswith(prefix)), None)
    if kin is not None:
        return list(kin)
    own = [kind for kind in OTHERS if not any(kind in kinds for kinds in KIN.values())]
    return [kind for kind in own if kind not in SCALED or "CausalLM" in name]


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in CLASSES for kind in kinds_of(name)])
def test_there_and_back(name, kind, tmp_path):
    """All outputs, and greedy tokens of prompts padded at the left; what we save is to Transformers what it saved."""
    peer = make_model(name, OTHERS[kind], seed=len(name))
    peer.save_pretrained(tmp_path / "theirs")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # nothing fresh, nothing left out
        model = load_pretrained(tmp_path / "theirs")
    assert type(model).__name__ == CLASSES[name]
    ids, mask = np.random.default_rng(len(kind)).integers(PAD + 1, 61, (3, 7)), np.ones((3, 7), int)
    mask[1, 5:], ids[1, 5:] = 0, PAD
    given = {"input_ids": ids, "attention_mask": mask}
    wanted = peer_outputs(peer, given)
    assert_equal_at_tokens(all_outputs(model, given), wanted, mask, atol=1e-4)

    model.save_pretrained(tmp_path / "ours", format="huggingface")
    # A Mistral without windows is a LLaMA, and is saved as one.
    (saved,) = json.loads((tmp_path / "ours" / "config.json").read_text())["architectures"]
    assert saved == name or (name.startswith("Mistral") and kind == "no window")
    again, info = load_peer(getattr(transformers, saved), tmp_path / "ours", output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    if name.startswith("Mixtral") and hasattr(again, "set_experts_implementation"):
        again.set_experts_implementation("eager")  # as `make_model` does, and why
    assert_equal_at_tokens(peer_outputs(again, given), wanted, mask, atol=1e-6)

    if "CausalLM" in name:
        prompts, seen = torch.from_numpy(ids[:, :4]), torch.ones(3, 4, dtype=int)
        seen[2, :2] = 0
        options = {"max_new_tokens": 11, "do_sample": False, "pad_token_id": PAD, "eos_token_id": [2]}
        tokens = peer.generate(prompts, attention_mask=seen, **options).numpy()
        np.testing.assert_array_equal(model.generate(ids[:, :4], attention_mask=seen.numpy(), **options), tokens)


def test_a_head_on_another_heads_backbone(tmp_path):
    """Question answering, whose tensors are called otherwise, begun from a language model, and the reverse."""
    for saved, ours in (("LlamaForCausalLM", GPTForQuestionAnswering), ("LlamaForQuestionAnswering", GPTModel)):
        peer = make_model(saved, {}, seed=3)
        peer.save_pretrained(tmp_path / saved)
        with pytest.warns(UserWarning, match="qa_outputs"):
            model = ours.from_pretrained(tmp_path / saved)
        given = {"input_ids": np.arange(6, 13)[None]}
        wanted = peer_outputs(peer, given)["hidden_states/2"]
        np.testing.assert_allclose(all_outputs(model, given)["hidden_states/2"], wanted, atol=1e-4)
