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
    for i, label in enumerate(labels):
        if i and goes_on(labels[i - 1], label):
            spans[-1] = spans[-1]._replace(end=i + 1)
        elif (kind := entity_kind(label)) is not None:
            spans.append(Span(kind, i, i + 1))
    return spans


def entity_kind(label: str) -> str | None:
    """The kind of entity that a word with this label is of: "PER" for "B-PER" and "I-PER"; None for "O"."""
    return None if label == OUTSIDE else _split(label)[1]


def goes_on(before: str, label: str) -> bool:
    """Whether a word with this label goes on with the entity of the word before it, which has the label `before`."""
    (prefix_before, kind_before), (prefix, kind) = _split(before), _split(label)
    return prefix == "I" and prefix_before != "" and kind == kind_before


def _split(label: str) -> tuple[str, str]:
    """The prefix of a label, "B" or "I" or "" for none, and what comes after it."""
    prefix, dash, kind = label.partition("-")
    return (prefix, kind) if dash and prefix in ("B", "I") else ("", label)


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
    """Returns precision, recall and their harmonic mean, given counts; 0 where there is nothing to count."""
    precision, recall = correct / found if found else 0.0, correct / wanted if wanted else 0.0
    f1 = 2 * correct / (found + wanted) if found + wanted else 0.0
    return {"precision": precision, "recall": recall, "f1": f1}
