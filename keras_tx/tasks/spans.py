"""The best spans between tokens."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

MAX_LENGTH = 384
"""Tokens of a question and a part of its context, as BERT was fine-tuned on SQuAD."""
MAX_QUESTION_LENGTH = 64
"""Tokens of a question; the rest is cut."""
MAX_ANSWER_LENGTH = 30
"""Tokens of an answer."""


class TokenSpan(NamedTuple):
    """Tokens `[start, end]`, the last one included."""

    score: float
    start: int
    end: int


def best_spans(
    start_logits: np.ndarray,
    end_logits: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    *,
    max_length: int,
    count: int,
) -> list[TokenSpan]:
    """The spans whose start and end have the highest logits together, best first (Devlin et al. 2019, section 4.2).

    The search is over all spans, not over the likeliest starts and ends alone.

    Args:
        start_logits, end_logits: `(T,)`.
        starts, ends: boolean `(T,)`, where a span may start and end.
        max_length: the most tokens of a span.
        count: how many spans, at most.
    """
    places = np.arange(len(start_logits))
    lengths = places - places[:, None] + 1
    allowed = starts[:, None] & ends & (lengths >= 1) & (lengths <= max_length)
    scores = np.where(allowed, start_logits[:, None] + end_logits, -np.inf).ravel()
    count = min(count, int(allowed.sum()))
    best = np.argpartition(-scores, count - 1)[:count] if count else np.array([], int)
    best = best[np.argsort(-scores[best], kind="stable")]
    return [TokenSpan(float(scores[i]), *map(int, divmod(i, len(places)))) for i in best]
