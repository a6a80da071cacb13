"""Makes llama/: small random LLaMAs with every scaling of rotary positions, a Mistral, a Mixtral; by Transformers 5.23.

    python tests/golden/make_llama.py [DIRECTORY]

A model's directory holds what `save_pretrained` writes, and `expected.npz`: its inputs (`given/NAME`), its outputs
(`NAME`), and of language models the greedy continuation of prompts padded at the left (`prompts`, `seen`, `tokens`).
All texts go past the length that the scalings take for that of training. Needs torch and transformers.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

try:
    import torchvision  # noqa: F401 - which Transformers imports
except RuntimeError:  # of a build for another device
    sys.modules["torchvision._meta_registrations"] = ModuleType("_meta_registrations")
import transformers

PAD, LENGTH, PROMPT, NEW = 5, 19, 9, 11
ORIGINAL = 13
SIZES = {
    "vocab_size": 61,
    "hidden_size": 18,
    "intermediate_size": 29,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "max_position_embeddings": 37,
    "num_labels": 5,
    "pad_token_id": PAD,
}


def rope(kind: str, **entries) -> dict:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 70.0, **entries}}


OLD = {"original_max_position_embeddings": ORIGINAL}
CASES = {
    "default": ("LlamaForCausalLM", {"tie_word_embeddings": True, "attention_bias": True}),
    "llama3": (
        "LlamaForCausalLM",
        {**rope("llama3", factor=6.0, low_freq_factor=1.0, high_freq_factor=3.0, **OLD), "head_dim": 10},
    ),
    "linear": ("LlamaForSequenceClassification", {**rope("linear", factor=3.0), "num_hidden_layers": 1}),
    "yarn": ("LlamaForCausalLM", {**rope("yarn", factor=4.0, beta_fast=3.0, **OLD), "mlp_bias": True}),
    "dynamic": ("LlamaForCausalLM", {**rope("dynamic", factor=2.5), "max_position_embeddings": ORIGINAL}),
    "mistral": ("MistralForCausalLM", {**rope("default"), "sliding_window": 6}),
    "mixtral": ("MixtralForCausalLM", {**rope("default"), "num_local_experts": 5, "sliding_window": None}),
}


def make_model(name: str, fields: dict, seed: int) -> torch.nn.Module:
    """With weights, biases too, that all leave their mark on the outputs."""
    torch.manual_seed(seed)
    cls = getattr(transformers, name)  # torch has grouped products, of experts, only for widths of whole 16 bytes
    model = cls(cls.config_class(**SIZES | fields, attn_implementation="eager", experts_implementation="eager"))
    with torch.no_grad():
        for path, weight in model.named_parameters():
            weight.normal_(0.0, 0.3 if weight.ndim > 1 else 0.1)
            if "norm" in path:
                weight += 1.0
    return model.eval()


def flat(outputs) -> dict[str, np.ndarray]:
    """The tensors of a model's outputs, those of each layer numbered."""
    found = {"logits": outputs.logits}
    for name in ("hidden_states", "attentions"):
        found |= {f"{name}/{i}": x for i, x in enumerate(outputs[name])}
    return {name: x.numpy() for name, x in found.items()}


def continued(model: torch.nn.Module, ids: np.ndarray) -> dict[str, np.ndarray]:
    prompts, seen = ids[:, :PROMPT], np.ones((len(ids), PROMPT), int)
    seen[1, :4] = 0
    options = {"max_new_tokens": NEW, "do_sample": False}
    tokens = model.generate(torch.from_numpy(prompts), attention_mask=torch.from_numpy(seen), **options)
    return {"prompts": prompts, "seen": seen, "tokens": tokens.numpy()}


@torch.no_grad()
def main(directory: Path) -> None:
    for seed, (case, (name, fields)) in enumerate(CASES.items()):
        rng, model = np.random.default_rng(seed), make_model(name, fields, seed)
        model.save_pretrained(directory / case)
        mask = np.ones((2, LENGTH), int)
        mask[1, -3:] = 0
        ids = np.where(mask, rng.integers(PAD + 1, SIZES["vocab_size"], mask.shape), PAD)
        given = {"input_ids": ids, "attention_mask": mask}
        tensors = {name: torch.from_numpy(x) for name, x in given.items()}
        expected = flat(model(**tensors, output_attentions=True, output_hidden_states=True))
        expected |= {f"given/{name}": x for name, x in given.items()}
        if "CausalLM" in name:
            expected |= continued(model, ids)
        np.savez_compressed(directory / case / "expected.npz", **expected)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("llama"))
