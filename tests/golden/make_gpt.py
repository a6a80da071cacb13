"""Makes gpt/: small random GPT-1s and GPT-2s of every class, and what Transformers 5.23 computes with them.

    python tests/golden/make_gpt.py [DIRECTORY]

A model's directory holds what `save_pretrained` writes, and `expected.npz`: its inputs and labels (`given/NAME`), its
outputs (`NAME`), and the losses of five steps of AdamW (`steps`). Needs torch and transformers.
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

BATCH, CHOICES, LENGTH, PAD = 3, 2, 7, 5
STEPS, ADAMW = 5, {"lr": 3e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.1}

GPT2 = {
    "bos_token_id": 1,
    "eos_token_id": 2,
    "vocab_size": 61,
    "n_positions": 13,
    "n_embd": 15,
    "n_layer": 2,
    "n_head": 3,
    "n_inner": 29,
}
GPT1 = {
    "bos_token_id": 1,
    "eos_token_id": 2,
    "vocab_size": 53,
    "n_positions": 11,
    "n_embd": 14,
    "n_layer": 2,
    "n_head": 2,
}
HEAD = {"n_layer": 1, "pad_token_id": PAD}
"""Of models whose blocks the language models above stand for."""

CASES = {
    "gpt2_lm": ("GPT2LMHeadModel", GPT2),
    "gpt2_lm_scaled": (
        "GPT2LMHeadModel",
        {
            **GPT2,
            "scale_attn_weights": False,
            "scale_attn_by_inverse_layer_idx": True,
            "tie_word_embeddings": False,
            "activation_function": "silu",
            "layer_norm_epsilon": 1e-3,
        },
    ),
    "gpt2_double": ("GPT2DoubleHeadsModel", {**GPT2, **HEAD, "activation_function": "gelu", "n_inner": None}),
    "gpt2_sequence": ("GPT2ForSequenceClassification", {**GPT2, **HEAD, "num_labels": 5}),
    "gpt2_sequence_multi": (
        "GPT2ForSequenceClassification",
        {**GPT2, **HEAD, "num_labels": 5, "problem_type": "multi_label_classification", "activation_function": "relu"},
    ),
    "gpt2_token": ("GPT2ForTokenClassification", {**GPT2, **HEAD, "num_labels": 5}),
    "gpt2_answer": ("GPT2ForQuestionAnswering", {**GPT2, **HEAD, "activation_function": "quick_gelu"}),
    "gpt1_lm": ("OpenAIGPTLMHeadModel", GPT1),
    "gpt1_double": ("OpenAIGPTDoubleHeadsModel", {**GPT1, **HEAD, "summary_activation": "tanh", "afn": "silu"}),
    "gpt1_sequence": ("OpenAIGPTForSequenceClassification", {**GPT1, **HEAD, "num_labels": 1, "afn": "relu"}),
}


def make_model(name: str, fields: dict, seed: int) -> torch.nn.Module:
    """With weights, biases too, that all leave their mark on the outputs."""
    cls = getattr(transformers, name)
    model = cls(cls.config_class(**fields, attn_implementation="eager"))
    torch.manual_seed(seed)
    with torch.no_grad():
        for path, weight in model.named_parameters():
            weight.normal_(0.0, 0.3 if weight.ndim > 1 else 0.1)
            if "ln_" in path and path.endswith("weight"):
                weight += 1.0
    return model.eval()


def make_inputs(name: str, config, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Row 0 is full, row 1 padded at the right, row 2 at the left."""
    shape = (BATCH, CHOICES, LENGTH) if "Double" in name else (BATCH, LENGTH)
    mask = np.ones(shape, int)
    mask[1, ..., 5:] = 0
    if "Question" not in name:  # what it computes at padding that sees no token differs between versions, and counts
        mask[2, ..., :3] = 0
    ids = np.where(mask, rng.integers(PAD + 1, config.vocab_size, shape), PAD)
    given = {"input_ids": ids, "attention_mask": mask}
    if "Double" in name:
        given["mc_token_ids"] = np.array([[6, 3], [4, 0], [5, 6]])
    if getattr(config, "scale_attn_by_inverse_layer_idx", False) or name == "OpenAIGPTDoubleHeadsModel":
        given["position_ids"] = np.maximum(mask.cumsum(axis=-1) - 1, 0)
        given["token_type_ids"] = rng.integers(0, 2, shape)
    return given


def make_labels(name: str, config, given: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Padding, what is predicted from padding, and one token more do not count."""
    ids, counts = given["input_ids"], given["attention_mask"].astype(bool)
    counts[..., 1:] &= counts[..., :-1]
    counts[0, ..., 2] = False
    if "Question" in name:
        return {"start_positions": np.array([1, 0, 4]), "end_positions": np.array([3, LENGTH + 2, 6])}
    if "Token" in name:
        return {"labels": np.where(counts, ids % config.num_labels, -100)}
    if "Double" in name:
        return {"labels": np.where(counts, ids, -100), "mc_labels": np.array([1, 0, 1])}
    if "Sequence" not in name:
        return {"labels": np.where(counts, ids, -100)}
    if config.num_labels == 1:
        return {"labels": rng.normal(size=BATCH).astype("float32")}
    if config.problem_type == "multi_label_classification":
        return {"labels": rng.integers(0, 2, (BATCH, config.num_labels)).astype("float32")}
    return {"labels": np.array([4, 0, 2])}


def flat(outputs) -> dict[str, np.ndarray]:
    """The tensors of a model's outputs, those of each layer numbered."""
    found = {}
    for name, value in outputs.items():
        if name in ("hidden_states", "attentions"):
            found.update({f"{name}/{i}": x for i, x in enumerate(value)})
        elif torch.is_tensor(value):
            found[name] = value
    return {name: x.detach().numpy() for name, x in found.items()}


def train(model: torch.nn.Module, given: dict[str, torch.Tensor]) -> list[float]:
    """The losses before each step, without dropout: the model is in `eval` mode."""
    optimizer = torch.optim.AdamW(model.parameters(), **ADAMW)
    losses = []
    for _ in range(STEPS):
        outputs = model(**given)
        loss = outputs.loss + outputs.get("mc_loss", 0.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main(directory: Path) -> None:
    for seed, (case, (name, fields)) in enumerate(CASES.items()):
        rng = np.random.default_rng(seed)
        model = make_model(name, fields, seed)
        model.save_pretrained(directory / case)
        given = make_inputs(name, model.config, rng)
        given |= make_labels(name, model.config, given, rng)
        tensors = {name: torch.from_numpy(x) for name, x in given.items()}
        for name in {"attention_mask", "position_ids"} & set(tensors):
            tensors[name] = tensors[name].reshape(-1, LENGTH)  # GPT-1 takes those of all texts one after another
        expected = flat(model(**tensors, output_attentions=True, output_hidden_states=True))
        expected |= {f"given/{name}": x for name, x in given.items()}
        expected["steps"] = np.array(train(model, tensors))
        np.savez_compressed(directory / case / "expected.npz", **expected)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("gpt"))
