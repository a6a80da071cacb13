"""What the heads of all text families have in common: their layers, their logits, their losses.

A head goes before a backbone in a class's bases, as in `class GPTForTokenClassification(TokenClassification,
GPTBackbone)`. The backbone's constructor calls `make_head`, and its `call` passes `head` the last hidden states.
"""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import ops

from keras_tx.layers.dropout import Dropout
from keras_tx.layers.linear import Linear
from keras_tx.models.base import TextModel
from keras_tx.ops.losses import (
    binary_cross_entropy,
    next_token_loss,
    span_loss,
    squared_error,
    token_cross_entropy,
)


class Backbone(TextModel):
    """What a head and a family's backbone know of each other."""

    config: Any

    def initializer(self):
        """A new initializer of the head's kernels."""
        raise NotImplementedError

    def classifier_rate(self) -> float:
        """The rate of the dropout before a classifier."""
        return self.config.classifier_dropout

    def linear(self, units: int, name: str, use_bias: bool = True) -> Linear:
        """A linear map from the backbone's width."""
        return Linear(
            units, use_bias=use_bias, kernel_initializer=self.initializer(), dtype=self.dtype_policy, name=name
        )

    def make_head(self) -> None:
        """Makes the head's layers."""

    def head(self, x, given: dict, training=None) -> dict:
        """The logits by name, of the last hidden states and the inputs by name."""
        raise NotImplementedError


class CausalLanguageModel(Backbone):
    """The loss of predicting each token from those before it."""

    def own_losses(self, outputs, labels):
        return {} if labels["labels"] is None else {"loss": next_token_loss(outputs["logits"], labels["labels"])}


class CrossEntropy(Backbone):
    """The mean cross-entropy of the labels, one for each row of logits."""

    def own_losses(self, outputs, labels):
        return {} if labels["labels"] is None else {"loss": token_cross_entropy(outputs["logits"], labels["labels"])}


class Classifier(Backbone):
    """A linear map to the logits of the classes, after dropout."""

    @property
    def num_classes(self) -> int:
        return self.config.num_labels

    def make_head(self):
        super().make_head()
        self.classifier_drop = Dropout(self.classifier_rate(), dtype=self.dtype_policy, name="classifier_drop")
        self.classifier = self.linear(self.num_classes, "classifier")

    def build(self, input_shape=None):
        super().build(input_shape)
        self.classifier.build((None, self.config.d_model))

    def classify(self, x, training=None):
        """`(..., d_model)` to `(..., num_classes)`."""
        return self.classifier(self.classifier_drop(x, training=training))


class SequenceClassification(Backbone):
    """One row of logits a sequence, and the loss that `problem_type` names.

    Without a `problem_type`, one label is a regression; of several, integers name one of them and floating-point
    numbers say yes or no to each.
    """

    def own_losses(self, outputs, labels):
        if labels["labels"] is None:
            return {}
        logits, wanted = outputs["logits"], ops.convert_to_tensor(labels["labels"])
        losses = {
            "regression": squared_error,
            "single_label_classification": token_cross_entropy,
            "multi_label_classification": binary_cross_entropy,
        }
        return {"loss": losses[self._problem_type(wanted)](logits, wanted)}

    def _problem_type(self, labels) -> str:
        if self.config.problem_type is not None:
            return self.config.problem_type
        if self.config.num_labels == 1:
            return "regression"
        whole = "int" in keras.backend.standardize_dtype(labels.dtype)
        return "single_label_classification" if whole else "multi_label_classification"


class TokenClassification(CrossEntropy, Classifier):
    """One row of logits a token."""

    def head(self, x, given, training=None):
        return {"logits": self.classify(x, training)}


class QuestionAnswering(Backbone):
    """Logits of where in the sequence the answer starts and ends, `(B, T)` each.

    The loss is the mean of both cross-entropies; it needs the labels of both.
    """

    targets: ClassVar = {"start_logits": "start_positions", "end_logits": "end_positions"}

    def make_head(self):
        self.qa_outputs = self.linear(2, "qa_outputs")

    def build(self, input_shape=None):
        super().build(input_shape)
        self.qa_outputs.build((None, self.config.d_model))

    def head(self, x, given, training=None):
        both = self.qa_outputs(x)
        return {"start_logits": both[..., 0], "end_logits": both[..., 1]}

    def own_losses(self, outputs, labels):
        positions = [labels[name] for name in self.targets.values()]
        if any(position is None for position in positions):
            return {}
        return {"loss": span_loss(outputs["start_logits"], outputs["end_logits"], *positions)}


def known_length(ids, max_positions: int):
    """The length T of ids `(B, T)`: a number, or a tensor where it is not known yet.

    Raises:
        ValueError: if it is known to be more than `max_positions`.
    """
    length = ids.shape[1] or ops.shape(ids)[1]
    if isinstance(length, int) and length > max_positions:
        raise ValueError(f"`input_ids` are {length} long, more than `max_positions` = {max_positions}: cut them.")
    return length


def as_rows(x):
    """The texts of `(B, C, T)`, C to choose from in each row, as rows of their own: `(B * C, T)`; None stays None."""
    return x if x is None else ops.reshape(x, (-1, ops.shape(x)[-1]))


def take_positions(x, positions):
    """The vectors of `x`, `(..., T, D)`, at one position a row, `(...)`: `(..., D)`."""
    index = ops.expand_dims(ops.cast(positions, "int32"), (-1, -2))
    return ops.squeeze(ops.take_along_axis(x, index, axis=-2), axis=-2)
