"""Entities as runs of labelled words, and their F1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

OUTSIDE = "O"


class Span(NamedTuple):
    """Words `[start, end)` of a sentence that are one entity."""

    label: str
    start: int
    end: int


def entity_spans(labels: Sequence[str]) -> list[Span]:
    """The entities in the labels of a sentence's words.

    "B-PER" begins a person, "I-PER" goes on with it and "O" is outside, as in IOB2 (Ramshaw & Marcus 1995; Tjong Kim
    Sang & Veenstra 1999). Where "I-PER" follows no person it begins one, as the CoNLL evaluation has it, so labels in
    IOB1 are read rightly too. A label without such a prefix, as a part of speech, is an entity of one word.
    """
    spans: list[Span] = []
    open_label = None  # of the entity that the next word may go on with
    for i, label in enumerate(labels):
        prefix, dash, kind = label.partition("-")
        if not dash or prefix not in ("B", "I"):
            open_label = None
            if label != OUTSIDE:
                spans.append(Span(label, i, i + 1))
        elif prefix == "I" and kind == open_label:
            spans[-1] = spans[-1]._replace(end=i + 1)
        else:
            open_label = kind
            spans.append(Span(kind, i, i + 1))
    return spans


def entity_scores(references: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]]) -> dict[str, float]:
    """Precision, recall and F1 of entities, which count where label, first and last word are all right.

    Entities of all labels and sentences are counted together, as the CoNLL evaluation does (Tjong Kim Sang & De
    Meulder 2003).

    Args:
        references: the right labels of each sentence's words.
        predictions: those found.

    Returns:
        `"precision"`, `"recall"` and `"f1"`, in [0, 1]; 0 where there is nothing to count.

    Raises:
        ValueError: if the two have not the same sentences' lengths.
    """
    lengths = [len(labels) for labels in references], [len(labels) for labels in predictions]
    if lengths[0] != lengths[1]:
        raise ValueError(f"`references` and `predictions` must have labels of the same words; got {lengths} of them.")
    right, found = (
        {(i, *s) for i, labels in enumerate(x) for s in entity_spans(labels)} for x in (references, predictions)
    )
    return precision_recall_f1(len(right & found), len(found), len(right))


def precision_recall_f1(correct: float, found: float, wanted: float) -> dict[str, float]:
    """Returns precision, recall and F1 by name; 0 where there is nothing to count.

    Args:
        correct, found, wanted: counts of what is right in both, of what was predicted, and of the references.
    """
    precision, recall = correct / found if found else 0.0, correct / wanted if wanted else 0.0
    f1 = 2 * correct / (found + wanted) if found + wanted else 0.0
    return {"precision": precision, "recall": recall, "f1": f1}
