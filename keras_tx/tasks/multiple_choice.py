"""Multiple choice: which of several texts goes best with a text."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_tx.models.core.head import HeadModel
from keras_tx.tasks.base import Task, probabilities, require_equal
from keras_tx.tasks.examples import labelled

Example = tuple[str, Sequence[str]]


@dataclasses.dataclass(frozen=True)
class Choice:
    """The text that was chosen.

    Attributes:
        text: the text.
        index: which of the choices it is.
        score: how probable it is.
    """

    text: str
    index: int
    score: float


class MultipleChoiceTask(Task):
    """A choice between texts that may go on from another, or answer it.

    Examples are pairs of a text and its choices, of which all examples have equally many. What is too long for a row is
    cut as the tokenizer cuts it, the longer of the two texts first.

    Args:
        model: with a multiple choice head, as `BERTForMultipleChoice`.
        tokenizer, max_length, batch_size: as of `Task`.
    """

    heads = "for multiple choice"

    @staticmethod
    def fits(model: HeadModel) -> bool:
        ids = model.input_signature()["input_ids"]
        return len(ids.shape) == 3 and list(model.targets) == ["logits"]

    def training_rows(self, examples, labels):
        require_equal(examples, labels)
        inputs = self._inputs(examples)
        choices = inputs["input_ids"].shape[1]
        for i, label in enumerate(labels):
            if not 0 <= label < choices:
                raise ValueError(f"label {i} must lie in [0, {choices}), the choices of each example; got {label}.")
        return inputs, np.array(labels, "int32"), np.arange(len(examples))

    def predict(self, examples: Sequence[Example]) -> list[Choice]:
        """The most probable choice of each example."""
        examples = self.pairs(examples)
        scores = self.scores(examples)
        best = [int(i) for i in scores.argmax(axis=-1)]
        of_examples = zip(examples, best, scores, strict=True)
        return [Choice(choices[i], i, float(of_choices[i])) for (_, choices), i, of_choices in of_examples]

    def scores(self, examples: Sequence[Example]) -> np.ndarray:
        """The probability of each choice, float32 `(B, C)`."""
        return probabilities(self.outputs(self._inputs(self.pairs(examples)))["logits"])

    def evaluate(self, examples: Any, labels: Any = None) -> dict[str, float]:
        """`"accuracy"`."""
        examples, labels, _ = labelled(examples, labels)
        require_equal(examples, labels)
        return {"accuracy": float(np.mean(self.scores(examples).argmax(axis=-1) == np.array(labels)))}

    def _inputs(self, examples: Sequence[Example]) -> dict[str, np.ndarray]:
        counts = sorted({len(choices) for _, choices in examples})
        if len(counts) != 1 or not counts[0]:
            raise ValueError(f"every example must have as many choices, one or more; got {counts}.")
        arrays = self.inputs([(text, choice) for text, choices in examples for choice in choices])
        return {name: array.reshape(len(examples), counts[0], -1) for name, array in arrays.items()}
