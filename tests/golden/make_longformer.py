"""Makes longformer/: small random Longformers of every class, and what Transformers 5.23 computes with them.

    PYTHONPATH=tests python tests/golden/make_longformer.py

What a directory holds, and what is needed, is what `make_bert.py` says; attention maps are of all pairs of tokens.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from golden import make_bert
from golden.make_gpt import flat

BERT = {**make_bert.BERT, "attention_window": [4, 8], "pad_token_id": 1}
HEAD = {**BERT, "num_hidden_layers": 1, "attention_window": [4]}
CASES = {
    "model": ("LongformerModel", {**BERT, "pad_token_id": 5}),
    "local": ("LongformerModel", HEAD),
    "short": ("LongformerModel", {**HEAD, "attention_window": 16}),
    "masked": ("LongformerForMaskedLM", {**BERT, "hidden_act": "relu", "layer_norm_eps": 1e-3}),
    "sequence": ("LongformerForSequenceClassification", {**HEAD, "num_labels": 5}),
    "sequence_given": ("LongformerForSequenceClassification", {**HEAD, "num_labels": 5}),
    "token": ("LongformerForTokenClassification", {**HEAD, "num_labels": 5}),
    "answer": ("LongformerForQuestionAnswering", {**HEAD, "sep_token_id": 7}),
    "choice": ("LongformerForMultipleChoice", HEAD),
}
"""Those of a task make tokens global by themselves, but `sequence_given`; others are given a mask, but `local`."""


def make_inputs(name: str, config, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """BERT's, as `marked` completes them, of positions that padding, of either side, does not move."""
    given = marked(name, config, make_bert.make_inputs(name, config, rng), rng)
    given["position_ids"] += config.pad_token_id + 1
    given["position_ids"] %= config.max_position_embeddings
    return given


def marked(name: str, config, given: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """With three separators a text where a task needs them, or a global mask where no task says what is global."""
    ids, mask = given["input_ids"], given["attention_mask"]
    used = (config.pad_token_id, config.sep_token_id)
    ids[mask.astype(bool) & np.isin(ids, used)] = 8  # torch does not train the padding's row
    if "Question" in name or "Choice" in name:
        for row, real in zip(ids.reshape(-1, ids.shape[-1]), mask.reshape(-1, ids.shape[-1]), strict=True):
            places = np.flatnonzero(real)
            row[places[[len(places) // 2 - 1, len(places) // 2, -1]]] = config.sep_token_id
    elif "Sequence" not in name:
        given["global_attention_mask"] = rng.integers(0, 2, ids.shape)
    return given


def task_mask(name: str, config, ids: torch.Tensor) -> torch.Tensor:
    """The tokens that a task makes global, by its definition."""
    marked = torch.zeros_like(ids)
    if "Sequence" in name:
        marked[:, 0] = 1
    for row, tokens in zip(marked.view(-1, ids.shape[-1]), ids.view(-1, ids.shape[-1]), strict=True):
        if "Question" in name or "Choice" in name:
            first = tokens.tolist().index(config.sep_token_id)
            row[slice(0, first) if "Question" in name else slice(first + 2, None)] = 1
    return marked


def all_pairs(outputs, marked: np.ndarray, windows: list[int]) -> list[np.ndarray]:
    """Each layer's map `(B, H, T, T)`, of local weights `(B, H, T, G + window + 1)` and global `(B, H, T', G)`."""
    maps = []
    for layer, window in enumerate(windows):
        local = outputs.attentions[layer].detach().numpy()
        found = np.zeros((*local.shape[:3], local.shape[2]), "float32")
        length, count = local.shape[2], local.shape[3] - window - 1
        for at in range(-(window // 2), window // 2 + 1):
            queries = np.arange(max(0, -at), min(length, length - at))
            found[:, :, queries, queries + at] = local[:, :, queries, count + at + window // 2]
        for row in range(len(found) if count else 0):
            places = np.flatnonzero(marked[row])
            found[row][:, :, places] += local[row][:, :, : len(places)]
            theirs = outputs.global_attentions[layer][row].detach().numpy()
            found[row][:, places] = theirs[:, :length, : len(places)].swapaxes(1, 2)
        maps.append(found)
    return maps


def make_outputs(model: torch.nn.Module, given: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    outputs = model(**given, output_attentions=True, output_hidden_states=True)
    name, config, ids = type(model).__name__, model.config, given["input_ids"]
    marked = given.get("global_attention_mask")
    marked = (task_mask(name, config, ids) if marked is None else marked) * given["attention_mask"].view(ids.shape)
    windows = config.attention_window
    windows = [windows] * config.num_hidden_layers if isinstance(windows, int) else windows
    maps = all_pairs(outputs, marked.view(-1, ids.shape[-1]).numpy(), windows)
    return flat(outputs) | {f"attentions/{i}": x for i, x in enumerate(maps)}


def inputs_of(case: str):
    """`make_inputs`, with the mask that a case has against its class's habit."""

    def made(name: str, config, rng: np.random.Generator) -> dict[str, np.ndarray]:
        given = make_inputs(name, config, rng)
        if case == "local":
            del given["global_attention_mask"]
        if case == "sequence_given":
            given["global_attention_mask"] = rng.integers(0, 2, given["input_ids"].shape)
        return given

    return made


if __name__ == "__main__":
    for case in CASES:
        make_bert.write(
            Path(__file__).with_name("longformer"), {case: CASES[case]}, inputs_of(case), make_outputs=make_outputs
        )
