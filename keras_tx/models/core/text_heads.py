"""What the heads of all text families have in common: their layers, their logits, their losses.

A head goes before a backbone in a class's bases, as in `class GPTForTokenClassification(TokenClassification,
GPTBackbone)`. The backbone's constructor calls `make_head`, and its `call` passes `head` the last hidden states.
"""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import ops

from keras_tx.layers.core.dropout import Dropout
from keras_tx.layers.core.linear import Linear
from keras_tx.models.core.base import TextModel, text_inputs
from keras_tx.ops.attention.cache import least_capacity
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
    choices: ClassVar[bool] = False
    """Whether the inputs are `(B, C, T)`, C texts a row to choose from."""

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

    def hidden(self, input_ids, attention_mask=None, *args: Any, **kwargs: Any) -> dict:
        """The `"hidden_states"`, of the embeddings and of each block; with `return_attention`, also `"attentions"`.

        Takes `token_type_ids` and `position_ids`, then by name `return_attention` and `training`.
        """
        raise NotImplementedError

    def answer(
        self, inputs, *, cache=None, return_attention=False, return_hidden_states=False, training=None, **named
    ) -> dict:
        """What a model's `call` returns; `named` are its inputs and labels, None for those not given."""
        slots = None if cache is None else least_capacity(cache) or 0
        given = text_inputs(inputs, slots=slots, choices=self.choices, **named)
        names = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
        tokens = {name: as_rows(given[name]) if self.choices else given[name] for name in names}
        cached = {} if cache is None else {"cache": cache}
        outputs = self.hidden(**tokens, **cached, return_attention=return_attention, training=training)
        states = outputs.pop("hidden_states")
        outputs |= self.head(states[-1], given, training)
        if return_hidden_states:
            outputs["hidden_states"] = states
        return outputs | self.own_losses(outputs, given)


class Labelled(Backbone):
    """What models with one kind of labels are called with."""

    def call(
        self,
        inputs,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        labels=None,
        return_attention: bool = False,
        return_hidden_states: bool = False,
        training=None,
    ):
        """The head's logits and, given labels, its loss.

        Args:
            inputs: ids `(B, T)`, or a dict of any of the tensors below with `"input_ids"`.
            attention_mask: `(B, T)`, 0 at padding; or `(B, T, T)`, for each token 0 at those it shall not see, as
                where documents are packed into one row.
            token_type_ids: `(B, T)`; in BERT, 0 for tokens of the first text, 1 for the second, all 0 unless given; in
                GPT, tokens whose embeddings are added.
            position_ids: `(B, T)`; counted from 0, without regard to padding, unless given.
            labels: as the class says.
            return_attention: also return the attention maps, `"attentions"`: of every block, `(B, H, T, T)`.
            return_hidden_states: also return `"hidden_states"`: the embeddings, then each block's output;
                `(B, T, d_model)` each.
            training: whether dropout is active.

        Returns:
            A dict with the logits, and `"loss"`, `"attentions"`, `"hidden_states"` as asked for.

        Raises:
            ValueError: for ids that are not `(batch, length)` integers, or known to lie outside the vocabulary; for
                more positions than `max_positions`; for other inputs that do not fit the ids.
        """
        return self.answer(
            inputs,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            labels=labels,
            return_attention=return_attention,
            return_hidden_states=return_hidden_states,
            training=training,
        )


class CausalLanguageModel(TextModel):
    """The loss of predicting each token from those before it."""

    def own_losses(self, outputs, labels):
        return {} if labels["labels"] is None else {"loss": next_token_loss(outputs["logits"], labels["labels"])}


class CrossEntropy(Labelled):
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


class SequenceLoss(Backbone):
    """The loss of one row of logits a sequence, which `problem_type` names.

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


class SequenceClassification(SequenceLoss, Labelled):
    """One row of logits a sequence, and its loss."""


class TokenClassification(CrossEntropy, Classifier):
    """One row of logits a token."""

    def head(self, x, given, training=None):
        return {"logits": self.classify(x, training)}


class SpanHead(Backbone):
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


class QuestionAnswering(SpanHead):
    """What models that find an answer are called with."""

    def call(
        self,
        inputs,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        start_positions=None,
        end_positions=None,
        return_attention: bool = False,
        return_hidden_states: bool = False,
        training=None,
    ):
        """As `Labelled.call`, with two kinds of labels, integers `(B,)` each."""
        return self.answer(
            inputs,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            start_positions=start_positions,
            end_positions=end_positions,
            return_attention=return_attention,
            return_hidden_states=return_hidden_states,
            training=training,
        )


def known_length(ids, max_positions: int, *, in_table: bool = True):
    """The length T of ids `(B, T)`: a number, or a tensor where it is not known yet.

    Args:
        ids: `(B, T)`.
        max_positions: how long they may be.
        in_table: whether positions are rows of a table, which has no more.

    Raises:
        ValueError: if it is known to be more than `max_positions`.
    """
    length = ids.shape[1] or ops.shape(ids)[1]
    if isinstance(length, int) and length > max_positions:
        way_out = "cut them" if in_table else "cut them, or make or load the model with more: no weight depends on it"
        raise ValueError(f"`input_ids` are {length} long, more than `max_positions` = {max_positions}: {way_out}.")
    return length


def as_rows(x):
    """The texts of `(B, C, ...)`, C to choose from in each row, as rows of their own: `(B * C, ...)`; None stays."""
    return x if x is None else ops.reshape(x, (-1, *ops.shape(x)[2:]))


def take_positions(x, positions):
    """The vectors of `x`, `(..., T, D)`, at one position a row, `(...)`: `(..., D)`."""
    index = ops.expand_dims(ops.cast(positions, "int32"), (-1, -2))
    return ops.take_along_axis(x, index, axis=-2)[..., 0, :]
