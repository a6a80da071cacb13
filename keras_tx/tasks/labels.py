"""The labels of a classifier: their names, and what its logits say of them."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_tx.generation.sampling import probabilities


def label_names(config: Any) -> tuple[str, ...]:
    """The names of a model's labels; those that Transformers gives where the config has none."""
    return config.label_names or tuple(f"LABEL_{i}" for i in range(config.num_labels))


def problem_type(config: Any) -> str:
    """The `problem_type` of a classifier's config; where it has none, a regression if there is one label."""
    return config.problem_type or ("regression" if config.num_labels == 1 else "single_label_classification")


def label_scores(logits, problem_type: str):
    """The probabilities of labels, or the numbers of a regression.

    Args:
        logits: `(..., num_labels)`.
        problem_type: `"single_label_classification"`, `"multi_label_classification"` or `"regression"`.
    """
    if problem_type == "single_label_classification":
        return probabilities(logits)
    return logits if problem_type == "regression" else ops.sigmoid(logits)
