"""The heads of texts, each written once for every family that it fits.

Shape letters: B batch, T tokens, D the backbone's width, N labels, V tokens of the vocabulary, C texts to choose from.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import keras
from keras import ops

from keras_tx.layers.core.base import register
from keras_tx.layers.core.dropout import Dropout
from keras_tx.models.core.config import ProblemType
from keras_tx.models.core.head import Head
from keras_tx.ops.activations import get_activation
from keras_tx.ops.losses import (
    binary_cross_entropy,
    next_token_loss,
    span_loss,
    squared_error,
    token_cross_entropy,
)


class CrossEntropyHead(Head):
    """A head whose loss is the mean cross-entropy of its labels, one for each row of logits."""

    def own_losses(self, outputs, labels, weights):
        if labels["labels"] is None:
            return {}
        return {"loss": token_cross_entropy(outputs["logits"], labels["labels"], sample_weight=weights.get("labels"))}


# === Classifiers ===


class SequenceHead(Head):
    """A head that gives each text one row of logits, whose loss `problem_type` names.

    Without a `problem_type`, one label is a regression; of several, `(B,)` or `(B, 1)` name one of them, and
    floating-point numbers `(B, N)` say yes or no to each, of which a warning tells.

    Args:
        width: D.
        num_labels: N.
        problem_type: the kind of loss, as Transformers names it.
        kernel_initializer: of the linear maps.
        use_bias: whether the last of them, `classifier`, has a bias.
    """

    def __init__(
        self,
        width: int,
        num_labels: int,
        problem_type: ProblemType | None,
        kernel_initializer,
        *,
        use_bias: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.width = width
        self.num_labels = num_labels
        self.problem_type = problem_type
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.classifier = self.linear(num_labels, "classifier", use_bias=use_bias)

    def build(self, input_shape=None):
        self.classifier.build((None, self.width))

    def own_losses(self, outputs, labels, weights):
        if labels["labels"] is None:
            return {}
        logits, wanted = outputs["logits"], ops.convert_to_tensor(labels["labels"])
        losses: dict[str, Callable] = {
            "regression": squared_error,
            "single_label_classification": token_cross_entropy,
            "multi_label_classification": binary_cross_entropy,
        }
        kind = self.problem_type or self._problem_type(wanted)
        return {"loss": losses[kind](logits, wanted, sample_weight=weights.get("labels"))}

    def _problem_type(self, labels) -> str:
        """What labels are where the config does not say it."""
        if self.num_labels == 1:
            return "regression"
        if len(labels.shape) == 1 or labels.shape[1] == 1 or "int" in keras.backend.standardize_dtype(labels.dtype):
            return "single_label_classification"
        warnings.warn(
            f"floating-point `labels` {tuple(labels.shape)} say yes or no to each of {self.num_labels} labels: set "
            '`problem_type="multi_label_classification"` if they do; where one label is right, give its number.',
            stacklevel=2,
        )
        return "multi_label_classification"

    def classes_of(self, labels):
        if len(labels.shape) == 1 or labels.shape[1] == 1:
            return labels
        if self.problem_type == "single_label_classification":
            return ops.argmax(labels, axis=-1)  # one-hot, as some of Keras's losses take them
        raise ValueError(f"`class_weight` is for labels that name one class each; got shape {tuple(labels.shape)}.")

    def require_labels(self, labels, *, whole):
        wanted = labels.get("labels")
        if wanted is None or self.problem_type in ("regression", "multi_label_classification") or self.num_labels == 1:
            return
        if wanted.ndim < 2 or wanted.shape[1] == 1:
            super().require_labels(labels, whole=whole)
        elif whole and len(wanted) > 1 and all((x.sum(axis=1) == 1).all() for x in (wanted == 1, wanted != 0)):
            raise ValueError(
                f"`labels` {wanted.shape} have one 1 in each row: give the classes, as by `labels.argmax(axis=1)`; or "
                'set `problem_type="multi_label_classification"`, for a yes or no to each.'
            )

    @property
    def num_classes_of(self):
        return {"labels": self.num_labels}

    @property
    def names_classes(self):
        return self.problem_type == "single_label_classification"


@register
class PooledSequenceHead(SequenceHead):
    """Dropout and a linear map of the pooled output: `(B, D)` to logits `(B, N)`.

    Args:
        width: D.
        num_labels: N.
        problem_type: see `SequenceHead`.
        dropout: rate before the linear map.
        kernel_initializer: of the linear map.
    """

    def __init__(
        self,
        width: int,
        num_labels: int,
        problem_type: ProblemType | None = None,
        dropout: float = 0.0,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(width, num_labels, problem_type, kernel_initializer, **kwargs)
        self.dropout = dropout
        self.classifier_drop = Dropout(dropout, dtype=self.dtype_policy, name="classifier_drop")

    @classmethod
    def of(cls, backbone, config, **options):
        return cls(
            backbone.width,
            config.num_labels,
            config.problem_type,
            config.classifier_rate,
            kernel_initializer=backbone.initializer(),
            **options,
        )

    def call(self, outputs, inputs, training=None):
        return {"logits": self.classifier(self.classifier_drop(outputs["pooler_output"], training=training))}


@register
class TokenHead(CrossEntropyHead):
    """Dropout and a linear map of every hidden state: `(B, T, D)` to logits `(B, T, N)`.

    Args:
        width: D.
        num_labels: N.
        dropout: rate before the linear map.
        kernel_initializer: of the linear map.
    """

    def __init__(
        self, width: int, num_labels: int, dropout: float = 0.0, kernel_initializer="glorot_uniform", **kwargs
    ):
        super().__init__(**kwargs)
        self.width = width
        self.num_labels = num_labels
        self.dropout = dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.classifier_drop = Dropout(dropout, dtype=self.dtype_policy, name="classifier_drop")
        self.classifier = self.linear(num_labels, "classifier")

    @classmethod
    def of(cls, backbone, config, **options):
        usual = {"dropout": config.classifier_rate, "kernel_initializer": backbone.initializer()}
        return cls(backbone.width, config.num_labels, **{**usual, **options})

    def build(self, input_shape=None):
        self.classifier.build((None, None, self.width))

    def call(self, outputs, inputs, training=None):
        x = self.classifier_drop(outputs["last_hidden_state"], training=training)
        return {"logits": self.classifier(x)}

    @property
    def num_classes_of(self):
        return {"labels": self.num_labels}


@register
class SpanHead(Head):
    """Where in a text an answer starts and ends: `(B, T, D)` to `"start_logits"` and `"end_logits"`, `(B, T)` each.

    The loss is the mean of both cross-entropies; it needs the labels of both.

    Args:
        width: D.
        kernel_initializer: of the linear map.
        dropout: rate before the linear map.
    """

    targets: ClassVar = {"start_logits": "start_positions", "end_logits": "end_positions"}

    def __init__(self, width: int, kernel_initializer="glorot_uniform", dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.dropout = dropout
        self.drop = Dropout(dropout, dtype=self.dtype_policy, name="drop")
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.qa_outputs = self.linear(2, "qa_outputs")

    @classmethod
    def of(cls, backbone, config, **options):
        return cls(backbone.width, backbone.initializer(), **options)

    def build(self, input_shape=None):
        self.qa_outputs.build((None, None, self.width))

    def call(self, outputs, inputs, training=None):
        both = self.qa_outputs(self.drop(outputs["last_hidden_state"], training=training))
        return {"start_logits": both[..., 0], "end_logits": both[..., 1]}

    def own_losses(self, outputs, labels, weights):
        positions = [labels[name] for name in self.targets.values()]
        if any(position is None for position in positions):
            return {}
        start, end = (weights.get(name) for name in self.targets.values())
        logits = (outputs[name] for name in self.targets)
        return {"loss": span_loss(*logits, *positions, start_weight=start, end_weight=end)}


@register
class ChoiceHead(CrossEntropyHead):
    """A score for each of C texts, from its pooled output: `(B * C, D)` to logits `(B, C)`.

    Args:
        width: D.
        dropout: rate before the linear map.
        kernel_initializer: of the linear map.
    """

    def __init__(self, width: int, dropout: float = 0.0, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.dropout = dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.classifier_drop = Dropout(dropout, dtype=self.dtype_policy, name="classifier_drop")
        self.classifier = self.linear(1, "classifier")

    @classmethod
    def of(cls, backbone, config, **options):
        usual = {"dropout": config.classifier_rate, "kernel_initializer": backbone.initializer()}
        return cls(backbone.width, **{**usual, **options})

    def build(self, input_shape=None):
        self.classifier.build((None, self.width))

    def call(self, outputs, inputs, training=None):
        scores = self.classifier(self.classifier_drop(outputs["pooler_output"], training=training))
        return {"logits": ops.reshape(scores, ops.shape(inputs["input_ids"])[:2])}


# === Language models ===


class LanguageModelHead(Head):
    """Logits of tokens, `(..., D)` to `(..., V)`: by the transposed token table, or by a linear map of its own.

    Args:
        width: D.
        vocab_size: V.
        tied: whether it is the token table, which `call` then takes.
        scale: what hidden states are multiplied by before.
        use_bias: whether the linear map has a bias.
        kernel_initializer: of the linear map.
    """

    def __init__(
        self,
        width: int,
        vocab_size: int,
        tied: bool = True,
        scale: float = 1.0,
        use_bias: bool = False,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(autocast=False, **{name: x for name, x in kwargs.items() if name != "autocast"})
        self.width = width
        self.vocab_size = vocab_size
        self.tied = tied
        self.scale = scale
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        if not tied:
            self.output_projection = self.linear(vocab_size, "output_projection", use_bias=use_bias)

    @classmethod
    def of(cls, backbone, config, **options):
        initializer = backbone.initializer()
        options = {"tied": config.tie_embeddings, "kernel_initializer": initializer, **options}
        return cls(backbone.width, config.vocab_size, **options)

    def build(self, input_shape=None):
        if not self.tied:
            self.output_projection.build((None, None, self.width))

    def call(self, outputs, inputs, training=None, token_embedding: Any = None):
        x = outputs["last_hidden_state"]
        x = x if self.scale == 1.0 else x * ops.cast(self.scale, x.dtype)
        return {"logits": token_embedding.project(x) if self.tied else self.output_projection(x)}

    @property
    def num_classes_of(self):
        return {"labels": self.vocab_size}


@register
class CausalLanguageModelHead(LanguageModelHead):
    """Logits of the next token. The loss is the mean cross-entropy of each token given those before it."""

    def own_losses(self, outputs, labels, weights):
        if labels["labels"] is None:
            return {}
        return {"loss": next_token_loss(outputs["logits"], labels["labels"], sample_weight=weights.get("labels"))}


@register
class Seq2SeqLanguageModelHead(LanguageModelHead):
    """Logits of a target's tokens. The loss is their mean cross-entropy.

    Args:
        width, vocab_size, tied, scale, use_bias, kernel_initializer: as `LanguageModelHead` takes them.
        label_smoothing: the share of each label that all tokens have between them in the loss.
    """

    def __init__(
        self,
        width: int,
        vocab_size: int,
        tied: bool = True,
        scale: float = 1.0,
        use_bias: bool = False,
        kernel_initializer="glorot_uniform",
        label_smoothing: float = 0.0,
        **kwargs,
    ):
        super().__init__(width, vocab_size, tied, scale, use_bias, kernel_initializer, **kwargs)
        self.label_smoothing = label_smoothing

    def own_losses(self, outputs, labels, weights):
        if labels["labels"] is None:
            return {}
        options = {"label_smoothing": self.label_smoothing, "sample_weight": weights.get("labels")}
        return {"loss": token_cross_entropy(outputs["logits"], labels["labels"], **options)}


@register
class MaskedLanguageModelHead(CrossEntropyHead):
    """Logits of what stands at each place: a linear map, activation and norm, then the transposed token table.

    Args:
        width: D.
        vocab_size: V.
        activation: by name.
        norm_epsilon: of the norm.
        kernel_initializer: of the linear map.
        embedding_dim: width of the table's vectors; D unless given.
    """

    tied = True

    def __init__(
        self,
        width: int,
        vocab_size: int,
        activation: str = "gelu",
        norm_epsilon: float = 1e-12,
        kernel_initializer="glorot_uniform",
        embedding_dim: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.width = width
        self.vocab_size = vocab_size
        self.activation = activation
        self.norm_epsilon = norm_epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.embedding_dim = embedding_dim or width
        self.activate = get_activation(activation)
        self.transform = self.linear(self.embedding_dim, "transform")
        self.transform_norm = keras.layers.LayerNormalization(
            epsilon=norm_epsilon, dtype=self.dtype_policy, name="transform_norm"
        )

    @classmethod
    def of(cls, backbone, config, **options):
        if not config.tie_embeddings:
            raise ValueError("`tie_embeddings` must be True: masked tokens are predicted by the token table.")
        options = {"activation": config.activation, "norm_epsilon": config.norm_epsilon, **options}
        options["embedding_dim"] = backbone.token_embedding.dim
        return cls(backbone.width, config.vocab_size, kernel_initializer=backbone.initializer(), **options)

    def build(self, input_shape=None):
        self.transform.build((None, None, self.width))
        self.transform_norm.build((None, None, self.embedding_dim))
        self.output_bias = self.add_weight(shape=(self.vocab_size,), initializer="zeros", name="output_bias")

    def call(self, outputs, inputs, training=None, token_embedding: Any = None):
        x = self.transform_norm(self.activate(self.transform(outputs["last_hidden_state"])))
        return {"logits": token_embedding.project(x) + ops.cast(self.output_bias, self.compute_dtype)}

    @property
    def num_classes_of(self):
        return {"labels": self.vocab_size}
