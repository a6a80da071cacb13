"""What a model's labels are called, and what its logits say of them."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_tx.generation.sampling import probabilities


def label_names(config: Any) -> tuple[str, ...]:
    """The names of a config's labels; where it has none, "LABEL_0" and so on, as in Transformers."""
    return config.label_names or tuple(f"LABEL_{i}" for i in range(config.num_labels))


def problem_type(config: Any) -> str:
    """The config's `problem_type`; where it has none, a regression for one label, otherwise one label a text."""
    default = "regression" if config.num_labels == 1 else "single_label_classification"
    return config.problem_type or default


def label_scores(logits, problem_type: str):
    """What `problem_type` makes of logits `(..., num_labels)`: probabilities, or the numbers of a regression."""
    if problem_type == "single_label_classification":
        return probabilities(logits)
    return logits if problem_type == "regression" else ops.sigmoid(logits)
