"""Makes bert/: small random BERTs of every class, and what Transformers 5.23 computes with them.

    PYTHONPATH=tests python tests/golden/make_bert.py [DIRECTORY]

A model's directory holds what `save_pretrained` writes, and `expected.npz`: its inputs and labels (`given/NAME`), its
outputs (`NAME`), and the losses of five steps of AdamW on the rows padded at the right (`steps`) where there is a loss.
Needs torch and transformers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from golden.make_gpt import BATCH, CHOICES, LENGTH, flat, make_model, train

RIGHT = 2
"""How many of the first rows are not padded at the left."""

BERT = {
    "vocab_size": 61,
    "max_position_embeddings": 13,
    "type_vocab_size": 3,
    "hidden_size": 15,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 29,
}
HEAD = {**BERT, "num_hidden_layers": 1}
"""Of models whose blocks the others stand for."""

CASES = {
    "model": ("BertModel", BERT),
    "pretraining": ("BertForPreTraining", BERT),
    "masked": ("BertForMaskedLM", {**BERT, "hidden_act": "gelu_new", "layer_norm_eps": 1e-3}),
    "next": ("BertForNextSentencePrediction", HEAD),
    "sequence": ("BertForSequenceClassification", {**HEAD, "num_labels": 5, "hidden_act": "silu"}),
    "sequence_multi": (
        "BertForSequenceClassification",
        {**HEAD, "num_labels": 5, "problem_type": "multi_label_classification", "hidden_act": "relu"},
    ),
    "sequence_regression": ("BertForSequenceClassification", {**HEAD, "num_labels": 1}),
    "token": ("BertForTokenClassification", {**HEAD, "num_labels": 5}),
    "answer": ("BertForQuestionAnswering", HEAD),
    "choice": ("BertForMultipleChoice", HEAD),
}


def make_bert(name: str, fields: dict, seed: int) -> torch.nn.Module:
    """With weights, biases too, that all leave their mark on the outputs."""
    model = make_model(name, fields, seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.weight += 1.0
    return model


def make_inputs(name: str, config, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Row 0 is full, row 1 padded at the right, row 2 at the left, where positions are counted without padding."""
    shape = (BATCH, CHOICES, LENGTH) if "Choice" in name else (BATCH, LENGTH)
    mask = np.ones(shape, int)
    mask[1, ..., 5:] = 0
    mask[2, ..., :3] = 0
    ids = np.where(mask, rng.integers(1, config.vocab_size, shape), config.pad_token_id)
    types = rng.integers(0, config.type_vocab_size, shape)
    positions = np.maximum(mask.cumsum(axis=-1) - 1, 0)
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types, "position_ids": positions}


def make_labels(name: str, config, given: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Padding, and one token more, do not count."""
    ids, counts = given["input_ids"], given["attention_mask"].astype(bool)
    counts[0, ..., 2] = False
    tokens = np.where(counts, rng.integers(0, config.vocab_size, ids.shape), -100)
    if name.endswith("Model"):
        return {}
    if "PreTraining" in name:
        return {"labels": tokens, "next_sentence_label": np.array([1, 0, 1])}
    if "Masked" in name:
        return {"labels": tokens}
    if "Question" in name:
        return {"start_positions": np.array([1, 0, 4]), "end_positions": np.array([3, LENGTH + 2, 6])}
    if "Token" in name:
        return {"labels": np.where(counts, ids % config.num_labels, -100)}
    if "Sequence" not in name:  # the next sentence, a choice
        return {"labels": np.array([1, 0, 1])}
    if config.num_labels == 1:
        return {"labels": rng.normal(size=BATCH).astype("float32")}
    if config.problem_type == "multi_label_classification":
        return {"labels": rng.integers(0, 2, (BATCH, config.num_labels)).astype("float32")}
    return {"labels": rng.integers(0, config.num_labels, BATCH)}


def make_outputs(model: torch.nn.Module, given: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return flat(model(**given, output_attentions=True, output_hidden_states=True))


def write(
    directory: Path,
    cases: dict[str, tuple[str, dict]],
    make_inputs: Callable,
    make_labels: Callable = make_labels,
    make_outputs: Callable = make_outputs,
) -> None:
    for seed, (case, (name, fields)) in enumerate(cases.items()):
        rng = np.random.default_rng(seed)
        model = make_bert(name, fields, seed)
        model.save_pretrained(directory / case)
        given = make_inputs(name, model.config, rng)
        given |= make_labels(name, model.config, given, rng)
        tensors = {name: torch.from_numpy(x) for name, x in given.items()}
        expected = make_outputs(model, tensors)
        expected |= {f"given/{name}": x for name, x in given.items()}
        if "loss" in expected:
            # Padded at the left, the pooler reads padding, whose row in the table torch's lookup does not train.
            expected["steps"] = np.array(train(model, {name: x[:RIGHT] for name, x in tensors.items()}))
        np.savez_compressed(directory / case / "expected.npz", **expected)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("bert"), CASES, make_inputs)
