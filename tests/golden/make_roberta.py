"""Makes roberta/: small random RoBERTas of every class, and what Transformers 5.23 computes with them.

    PYTHONPATH=tests python tests/golden/make_roberta.py [DIRECTORY]

What a directory holds, and what is needed, is what `make_bert.py` says.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from golden import make_bert

ROBERTA = {
    "vocab_size": 61,
    "max_position_embeddings": 13,
    "type_vocab_size": 1,
    "hidden_size": 15,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 29,
    "pad_token_id": 4,
    "layer_norm_eps": 1e-5,
}
HEAD = {**ROBERTA, "num_hidden_layers": 1}
"""Of models whose blocks the others stand for."""

CASES = {
    "model": ("RobertaModel", ROBERTA),
    "masked": ("RobertaForMaskedLM", {**ROBERTA, "hidden_act": "relu", "layer_norm_eps": 1e-3}),
    "sequence": ("RobertaForSequenceClassification", {**HEAD, "num_labels": 5}),
    "token": ("RobertaForTokenClassification", {**HEAD, "num_labels": 5, "type_vocab_size": 3}),
    "answer": ("RobertaForQuestionAnswering", HEAD),
    "choice": ("RobertaForMultipleChoice", HEAD),
    "xlm_sequence": ("XLMRobertaForSequenceClassification", {**HEAD, "num_labels": 1, "pad_token_id": 1}),
    "camembert_masked": ("CamembertForMaskedLM", {**HEAD, "pad_token_id": 0}),
}


def make_inputs(name: str, config, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """BERT's without positions, which are counted from the ids: in the last row, padding's id stands for a token."""
    given = make_bert.make_inputs(name, config, rng)
    ids, pad = given["input_ids"], config.pad_token_id
    ids[(ids == pad) & (given["attention_mask"] == 1)] = pad + 1
    ids[-1, ..., 5] = pad
    del given["position_ids"]
    return given


if __name__ == "__main__":
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("roberta")
    make_bert.write(directory, CASES, make_inputs)
