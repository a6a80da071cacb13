"""Makes distilbert/: small random DistilBERTs of every class, and what Transformers 5.23 computes with them.

    PYTHONPATH=tests python tests/golden/make_distilbert.py [DIRECTORY]

What a directory holds, and what is needed, is what `make_bert.py` says.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from golden import make_bert

DISTILBERT = {
    "vocab_size": 61,
    "max_position_embeddings": 13,
    "dim": 15,
    "n_layers": 2,
    "n_heads": 3,
    "hidden_dim": 29,
}
HEAD = {**DISTILBERT, "n_layers": 1}
"""Of models whose blocks the others stand for."""

CASES = {
    "model": ("DistilBertModel", DISTILBERT),
    "masked": ("DistilBertForMaskedLM", {**DISTILBERT, "activation": "relu", "sinusoidal_pos_embds": True}),
    "sequence": ("DistilBertForSequenceClassification", {**HEAD, "num_labels": 5}),
    "sequence_multi": (
        "DistilBertForSequenceClassification",
        {**HEAD, "num_labels": 3, "problem_type": "multi_label_classification"},
    ),
    "token": ("DistilBertForTokenClassification", {**HEAD, "num_labels": 5}),
    "answer": ("DistilBertForQuestionAnswering", HEAD),
    "choice": ("DistilBertForMultipleChoice", HEAD),
}


def make_inputs(name: str, config, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """BERT's, without token types, and without positions, which it counts from 0."""
    config.type_vocab_size = 1
    given = make_bert.make_inputs(name, config, rng)
    return {name: given[name] for name in ("input_ids", "attention_mask")}


if __name__ == "__main__":
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("distilbert")
    make_bert.write(directory, CASES, make_inputs)
