"""Classification with labels that the model was never trained on: does the text entail that it is about a label?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from keras_tx.models.core.head import HeadModel
from keras_tx.tasks.base import Task, require_equal
from keras_tx.tasks.examples import labelled, listed
from keras_tx.tasks.labels import entailment_ids, entailment_scores
from keras_tx.tasks.text_classification import Label, TextClassificationTask, macro_f1
from keras_tx.text import Tokenizer

if TYPE_CHECKING:
    from keras_tx.training.recipes.finetune import FineTuning

TEMPLATE = "This example is {}."


class ZeroShotClassificationTask(Task):
    """Labels of texts, chosen from any that are given with the texts.

    The model was trained on natural language inference. A text is the premise, and each label makes a hypothesis; how
    far the one entails the other is the label's score (Yin et al. 2019, section 5). Of a pair too long for a row the
    text is cut.

    Args:
        model: with a sequence classifier's head, as `BERTForSequenceClassification`. One of its `label_names` begins
            with "entail"; the first of them, or the last where that is the first, is the contradiction.
        tokenizer, max_length, batch_size: as of `Task`.

    Raises:
        ValueError: as of `Task`; and if no label is an entailment, or none but that.
    """

    heads = "for sequence classification"

    def __init__(self, model: HeadModel, tokenizer: Tokenizer, *, max_length: int | None = None, batch_size: int = 32):
        super().__init__(model, tokenizer, max_length=max_length, batch_size=batch_size)
        ids = entailment_ids(self.label_names)
        if ids is None:
            raise ValueError(
                'the model must be a classifier of natural language inference, with a label that begins with "entail" '
                f"and another: name them by `label_names`; got {', '.join(self.label_names)}."
            )
        self.contradiction_id, self.entailment_id = ids
        self.inference = TextClassificationTask(model, tokenizer, max_length=max_length, batch_size=batch_size)

    @staticmethod
    def fits(model: HeadModel) -> bool:
        return TextClassificationTask.fits(model)

    def predict(  # type: ignore[override]
        self,
        texts: Any,
        candidate_labels: Sequence[str] | str,
        hypothesis_template: str = TEMPLATE,
        multi_label: bool = False,
    ) -> list[list[Label]]:
        """Returns all of the labels for each text, the most probable first.

        Args:
            texts: strings, in any form that `Task.predict` takes.
            candidate_labels: the labels to choose from; one string is split at its commas.
            hypothesis_template: what becomes a hypothesis with a label in place of its "{}".
            multi_label: whether several labels may be right. Each score then is by itself the probability of entailment
                rather than contradiction; otherwise the scores of a text sum to 1. One label alone is always scored so.

        Raises:
            ValueError: for a template without "{}"; if there is no label; and for a hypothesis so long that a row has
                no room for the text.
        """
        candidates = _candidates(candidate_labels)
        scores = self.scores(texts, candidates, hypothesis_template, multi_label)
        return [[Label(candidates[i], float(row[i])) for i in np.argsort(row)[::-1]] for row in scores]

    def scores(
        self,
        texts: Any,
        candidate_labels: Sequence[str] | str,
        hypothesis_template: str = TEMPLATE,
        multi_label: bool = False,
    ) -> np.ndarray:
        """The probability of each label in the order given, float32 `(B, C)`; the arguments are those of `predict`."""
        texts, candidates = listed(texts), _candidates(candidate_labels)
        if "{}" not in hypothesis_template:
            raise ValueError(
                f"`hypothesis_template` must have a {{}}, in whose place labels stand; got {hypothesis_template!r}."
            )
        if not texts:
            return np.zeros((0, len(candidates)), "float32")
        hypotheses = [hypothesis_template.replace("{}", label) for label in candidates]
        inputs = self.inputs([(text, hypothesis) for text in texts for hypothesis in hypotheses], "only_first")
        logits = self.outputs(inputs)["logits"].reshape(len(texts), len(candidates), -1)
        ids = self.contradiction_id, self.entailment_id
        return ops.convert_to_numpy(entailment_scores(logits, *ids, multi_label))

    def evaluate(  # type: ignore[override]
        self, texts: Any, labels: Any, candidate_labels: Sequence[str] | str, hypothesis_template: str = TEMPLATE
    ) -> dict[str, float]:
        """`"accuracy"` and `"f1"`, the mean of all labels' F1.

        Args:
            texts, candidate_labels, hypothesis_template: as of `predict`.
            labels: of each text one of the candidates; None where `texts` is a dataset of both.

        Raises:
            ValueError: as of `predict`; and for a label that is no candidate.
        """
        texts, labels, _ = labelled(texts, labels)
        require_equal(texts, labels)
        candidates = _candidates(candidate_labels)
        for i, label in enumerate(labels):
            if label not in candidates:
                raise ValueError(
                    f"label {i} must be one of `candidate_labels`, {', '.join(candidates)}; got {label!r}."
                )
        wanted = np.array([candidates.index(label) for label in labels])
        found = self.scores(texts, candidates, hypothesis_template).argmax(axis=1)
        return {"accuracy": float(np.mean(found == wanted)), "f1": macro_f1(wanted, found)}

    # === Training ===

    def training_rows(self, examples, labels):
        return self.inference.training_rows(examples, labels)

    def fit(
        self, examples: Any, labels: Any = None, recipe: FineTuning | None = None, **options: Any
    ) -> keras.callbacks.History:
        """Fine-tunes the model on natural language inference, as `TextClassificationTask.fit` does.

        Args:
            examples: pairs of a premise and a hypothesis.
            labels: of each pair one of the model's labels, as "entailment".
            recipe, options: as of `Task.fit`.
        """
        return self.inference.fit(examples, labels, recipe, **options)


def _candidates(labels: Sequence[str] | str) -> list[str]:
    """Labels as a list, one or more."""
    if isinstance(labels, str):
        labels = [label.strip() for label in labels.split(",") if label.strip()]
    found = listed(labels)
    if not found:
        raise ValueError(f"`candidate_labels` must name one label or more; got {labels!r}.")
    return found
