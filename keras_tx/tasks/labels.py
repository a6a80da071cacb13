"""The labels of a classifier: their names, and what its logits say of them."""

from __future__ import annotations

from collections.abc import Sequence
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


def entailment_ids(names: Sequence[str]) -> tuple[int, int] | None:
    """The numbers of contradiction and entailment among the labels of a classifier of natural language inference.

    As Transformers has it, entailment is the first that begins with "entail", in any case; contradiction the first
    label, or the last where entailment is the first. None if there is no such label, or none but that.
    """
    found = [i for i, name in enumerate(names) if name.lower().startswith("entail")]
    return (0 if found[0] else len(names) - 1, found[0]) if found and len(names) > 1 else None


def entailment_scores(logits, contradiction: int, entailment: int, multi_label):
    """The probabilities `(B, C)` that texts entail hypotheses.

    Args:
        logits: of each text with each hypothesis, `(B, C, num_labels)`.
        contradiction, entailment: numbers of labels.
        multi_label: boolean scalar: whether each hypothesis is scored by itself, entailment against contradiction, as
            one alone always is; otherwise those of a text sum to 1.
    """
    by_itself = ops.sigmoid(logits[..., entailment] - logits[..., contradiction])
    if logits.shape[1] == 1:
        return by_itself
    separate = ops.logical_or(multi_label, ops.shape(logits)[1] == 1)
    return ops.where(separate, by_itself, probabilities(logits[..., entailment]))
