"""Classification of texts and of pairs of texts: sentiment, topic, entailment, similarity."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_tx.models.core.head import HeadModel
from keras_tx.models.core.heads import SequenceHead
from keras_tx.tasks.base import Task, require_equal
from keras_tx.tasks.entities import precision_recall_f1
from keras_tx.tasks.examples import labelled, listed
from keras_tx.tasks.labels import label_scores, problem_type

Text = str | tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Label:
    """A label predicted for a text.

    Attributes:
        label: its name.
        score: its probability; of a regression, the number itself.
    """

    label: str
    score: float


class TextClassificationTask(Task):
    """Labels of texts, or of pairs of texts.

    Texts too long for a row are cut as the tokenizer cuts them; of a pair, the longer text first. The model's
    `problem_type` says what labels are: one of the names or their numbers (the default); a collection of them
    ("multi_label_classification", which must be asked for); or a number ("regression", the default where `num_labels`
    is 1).

    Args:
        model: with a sequence classifier's head, as `BERTForSequenceClassification`.
        tokenizer, max_length, batch_size: as of `Task`.
    """

    heads = "for sequence classification"

    @staticmethod
    def fits(model: HeadModel) -> bool:
        return isinstance(model.head, SequenceHead)

    @property
    def problem_type(self) -> str:
        """`"single_label_classification"`, `"multi_label_classification"` or `"regression"`."""
        return problem_type(self.model.config)

    def training_rows(self, examples, labels):
        require_equal(examples, labels)
        return self._inputs(examples), self._targets(labels), np.arange(len(examples))

    def predict(self, examples: Sequence[Text] | str) -> list:
        """The most probable label of each text; of several labels a text, a list of those more probable than not."""
        kind, names = self.problem_type, self.label_names
        found: list = []
        for scores in self.scores(examples):
            labels = [Label(name, float(score)) for name, score in zip(names, scores, strict=True)]
            if kind == "multi_label_classification":
                found.append([label for label in labels if label.score > 0.5])
            else:
                found.append(max(labels, key=lambda label: label.score))
        return found

    def scores(self, examples: Sequence[Text] | str) -> np.ndarray:
        """The probability of every label, or the numbers of a regression: float32 `(B, num_labels)`."""
        examples = listed(examples)
        if not len(examples):
            return np.zeros((0, len(self.label_names)), "float32")
        logits = self.outputs(self._inputs(examples))["logits"]
        return ops.convert_to_numpy(label_scores(logits, self.problem_type))

    def evaluate(self, examples: Any, labels: Any = None) -> dict[str, float]:
        """`"accuracy"` and `"f1"`, the mean of all labels' F1.

        Of several labels a text: `"precision"`, `"recall"` and `"f1"` of all labels together; of a regression:
        `"mean_squared_error"` and Pearson's correlation, `"pearson"`.
        """
        examples, labels, _ = labelled(examples, labels)
        require_equal(examples, labels)
        wanted, scores = self._targets(labels), self.scores(examples)
        if self.problem_type == "regression":
            wanted = wanted.reshape(scores.shape)
            correlation = np.corrcoef(wanted.ravel(), scores.ravel())[0, 1]
            return {"mean_squared_error": float(np.mean((wanted - scores) ** 2)), "pearson": float(correlation)}
        if self.problem_type == "multi_label_classification":
            found = scores > 0.5
            return precision_recall_f1((found * wanted).sum(), found.sum(), wanted.sum())
        found = scores.argmax(axis=-1)
        return {"accuracy": float(np.mean(found == wanted)), "f1": macro_f1(wanted, found)}

    def _inputs(self, examples: Sequence[Text]) -> dict[str, np.ndarray]:
        rows = [(text,) if isinstance(text, str) else tuple(text) for text in examples]
        for i, row in enumerate(rows):
            if len(row) not in (1, 2):
                raise ValueError(f"example {i} must be a text or a pair of texts; got {len(row)} of them.")
        return self.inputs(rows)

    def _targets(self, labels: Sequence) -> np.ndarray:
        if self.problem_type == "regression":
            return np.array(labels, "float32")
        if self.problem_type == "single_label_classification":
            ones = [of[0] if isinstance(of, list) and len(of) == 1 else of for of in labels]  # columns of tables
            return np.array([self.label_id(label, f"label {i}") for i, label in enumerate(ones)], "int32")
        several = np.zeros((len(labels), len(self.label_names)), "float32")
        for i, of_text in enumerate(labels):
            several[i, [self.label_id(label, f"a label of text {i}") for label in of_text]] = 1
        return several


def macro_f1(wanted: np.ndarray, found: np.ndarray) -> float:
    """The mean of the F1 of every label that occurs."""
    labels = np.union1d(wanted, found)
    hits = [(np.sum((wanted == i) & (found == i)), np.sum(found == i), np.sum(wanted == i)) for i in labels]
    return float(np.mean([precision_recall_f1(*counts)["f1"] for counts in hits]))
