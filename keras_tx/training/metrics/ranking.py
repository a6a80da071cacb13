"""Metrics of rankings: how well scores order what was judged, and how early what was sought is found."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation of two rows of numbers; NaN if one of them does not vary."""
    a, b = (np.asarray(x, "float64") - np.mean(x) for x in (a, b))
    with np.errstate(invalid="ignore", divide="ignore"):
        return float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation: Pearson's of the ranks, of which equal numbers share the mean."""
    return pearson(_ranks(a), _ranks(b))


def _ranks(x: np.ndarray) -> np.ndarray:
    _, which, counts = np.unique(x, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[which]


def recall_at(found: np.ndarray, relevant: Sequence[Collection[int]], k: int) -> float:
    """The mean share of what is relevant to a query that is among the first k found.

    Args:
        found: of each query the ids found, best first, `(Q, K)`.
        relevant: of each query, the ids that are relevant, one or more.
        k: at most K.
    """
    return float(np.mean([len({*row[:k].tolist()} & {*ids}) / len({*ids}) for row, ids in _pairs(found, relevant)]))


def mean_reciprocal_rank(found: np.ndarray, relevant: Sequence[Collection[int]], k: int) -> float:
    """The mean of one over the place of the first relevant id among the first k found; 0 where there is none.

    Args:
        found, relevant, k: as of `recall_at`.
    """
    places = [np.flatnonzero(np.isin(row[:k], list(ids))) for row, ids in _pairs(found, relevant)]
    return float(np.mean([1 / (1 + place[0]) if len(place) else 0.0 for place in places]))


def _pairs(found: np.ndarray, relevant: Sequence[Collection[int]]):
    if len(found) != len(relevant) or not all(relevant):
        raise ValueError(f"`relevant` must be one or more ids for each of {len(found)} queries.")
    return zip(found, relevant, strict=True)
