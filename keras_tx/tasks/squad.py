"""The scores of answers on SQuAD (Rajpurkar et al. 2016, section 6.1; 2018)."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

from keras_tx.tasks.entities import precision_recall_f1

_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """Lower case, without ASCII punctuation, the articles "a", "an" and "the", and needless whitespace."""
    text = re.sub(r"\b(a|an|the)\b", " ", text.lower().translate(_PUNCTUATION))
    return " ".join(text.split())


def exact_match(prediction: str, reference: str) -> float:
    """1 where both are the same once normalized, otherwise 0."""
    return float(normalize_answer(prediction) == normalize_answer(reference))


def answer_f1(prediction: str, reference: str) -> float:
    """F1 of the words of a prediction, normalized; where either has none it is `exact_match`."""
    found, wanted = normalize_answer(prediction).split(), normalize_answer(reference).split()
    if not found or not wanted:
        return float(found == wanted)
    return precision_recall_f1((Counter(found) & Counter(wanted)).total(), len(found), len(wanted))["f1"]


def squad_scores(references: Sequence[Sequence[str]], predictions: Sequence[str]) -> dict[str, float]:
    """The mean over questions of the best score against any of the right answers.

    Args:
        references: the right answers to each question; none where the text has no answer, and "" is right.
        predictions: an answer to each question, "" for none.

    Returns:
        `"exact_match"` and `"f1"`, in [0, 1].
    """
    if len(references) != len(predictions) or not predictions:
        raise ValueError(
            f"there must be as many `references` as `predictions`, one or more; got {len(references)} and "
            f"{len(predictions)}."
        )
    pairs = [(prediction, answers or [""]) for prediction, answers in zip(predictions, references, strict=True)]
    scores = {"exact_match": exact_match, "f1": answer_f1}
    return {
        name: sum(max(score(found, answer) for answer in answers) for found, answers in pairs) / len(pairs)
        for name, score in scores.items()
    }
