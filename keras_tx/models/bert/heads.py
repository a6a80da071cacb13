"""BERT's heads: for pre-training, sequences, tokens, spans, and a choice between texts."""

from __future__ import annotations

from typing import ClassVar

from keras import ops

from keras_tx.models.bert.model import TINY, BERTBackbone, BERTPooled
from keras_tx.models.core.registry import register_model
from keras_tx.models.core.text_heads import (
    Classifier,
    CrossEntropy,
    QuestionAnswering,
    SequenceClassification,
    TokenClassification,
)
from keras_tx.ops.activations import get_activation
from keras_tx.ops.losses import token_cross_entropy

TINY_HEAD = TINY.replace(num_layers=1, num_labels=5)


# === Pre-training ===


class MaskedTokens(BERTBackbone):
    """The masked language model's head: logits of what stands at each position, by the transposed token table."""

    predicts_masked_tokens: ClassVar[bool] = True

    def make_head(self):
        super().make_head()
        if not self.config.tie_embeddings:
            raise ValueError("`tie_embeddings` must be True: BERT predicts masked tokens by its token table.")
        self.transform = self.linear(self.config.d_model, "transform")
        self.activate = get_activation(self.config.activation)
        self.transform_norm = self.norm("transform_norm")

    def build(self, input_shape=None):
        super().build(input_shape)
        self.transform.build((None, self.config.d_model))
        self.transform_norm.build((None, None, self.config.d_model))
        self.output_bias = self.add_weight(shape=(self.config.vocab_size,), initializer="zeros", name="output_bias")

    def logits(self, x):
        """`(..., d_model)` to `(..., vocab_size)`."""
        x = self.transform_norm(self.activate(self.transform(x)))
        return self.token_embedding.project(x) + ops.cast(self.output_bias, self.compute_dtype)


class NextSentence(BERTPooled):
    """The next sentence's head: logits of whether the second text follows the first."""

    def make_head(self):
        super().make_head()
        self.seq_relationship = self.linear(2, "seq_relationship")

    def build(self, input_shape=None):
        super().build(input_shape)
        self.seq_relationship.build((None, self.config.d_model))

    def relationship(self, x):
        """`(B, T, d_model)` to `(B, 2)`."""
        return self.seq_relationship(self.pool(x))


@register_model(TINY_HEAD)
class BERTForPreTraining(MaskedTokens, NextSentence):
    """Both tasks of BERT's pre-training (Devlin et al. 2018, section 3.1).

    `model(input_ids)` gives `{"logits": (B, T, vocab_size), "seq_relationship_logits": (B, 2)}`: of the token at each
    position, and of the second text following the first (0) or not (1). With `labels`, `(B, T)`, -100 where they do
    not count, and `next_sentence_label`, `(B,)`, also `"loss"`: the sum of both mean cross-entropies; it needs both.

    Args:
        config: a `BERTConfig`; BERT base unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    targets: ClassVar = {"logits": "labels", "seq_relationship_logits": "next_sentence_label"}

    def call(
        self,
        inputs,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        labels=None,
        next_sentence_label=None,
        return_attention: bool = False,
        return_hidden_states: bool = False,
        training=None,
    ):
        """As `Labelled.call`, with two kinds of labels, `(B, T)` and `(B,)`."""
        return self.answer(
            inputs,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            labels=labels,
            next_sentence_label=next_sentence_label,
            return_attention=return_attention,
            return_hidden_states=return_hidden_states,
            training=training,
        )

    def head(self, x, given, training=None):
        return {"logits": self.logits(x), "seq_relationship_logits": self.relationship(x)}

    def own_losses(self, outputs, labels):
        if any(labels[name] is None for name in self.targets.values()):
            return {}
        losses = [token_cross_entropy(outputs[logits], labels[name], name) for logits, name in self.targets.items()]
        return {"loss": sum(losses)}


@register_model(TINY_HEAD)
class BERTForMaskedLM(CrossEntropy, MaskedTokens):
    """What stands at each position of a text, masked or not.

    `model(input_ids)` gives `{"logits": (B, T, vocab_size)}`; with `labels`, `(B, T)`, also `"loss"`: their mean
    cross-entropy in nats, -100 not counting.

    Args:
        config: a `BERTConfig`; BERT base unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    def head(self, x, given, training=None):
        return {"logits": self.logits(x)}


@register_model(TINY_HEAD)
class BERTForNextSentencePrediction(CrossEntropy, NextSentence):
    """Whether the second text of a pair follows the first.

    `model(input_ids)` gives `{"logits": (B, 2)}`, of following (0) and of not (1); with `labels`, `(B,)`, also
    `"loss"`: their mean cross-entropy.

    Args:
        config: a `BERTConfig`; BERT base unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    def head(self, x, given, training=None):
        return {"logits": self.relationship(x)}


# === Fine-tuning ===


@register_model(TINY_HEAD)
class BERTForSequenceClassification(SequenceClassification, Classifier, BERTPooled):
    """A label for each text or pair of texts, from the pooled output.

    `model(input_ids)` gives `{"logits": (B, num_labels)}`. `labels` are `(B,)`, or `(B, num_labels)` for several
    labels a text; see `SequenceClassification`.

    Args:
        config: a `BERTConfig`; BERT base unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    def head(self, x, given, training=None):
        return {"logits": self.classify(self.pool(x), training)}


@register_model(TINY_HEAD)
class BERTForTokenClassification(TokenClassification, BERTBackbone):
    """A label for each token.

    `model(input_ids)` gives `{"logits": (B, T, num_labels)}`; with `labels`, `(B, T)`, also `"loss"`: their mean
    cross-entropy, -100 not counting.

    Args:
        config: a `BERTConfig`; BERT base unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """


@register_model(TINY_HEAD)
class BERTForQuestionAnswering(QuestionAnswering, BERTBackbone):
    """Where in a text the answer to a question starts and ends.

    `model(input_ids)` gives `{"start_logits": (B, T), "end_logits": (B, T)}`; with `start_positions` and
    `end_positions`, `(B,)` each, also `"loss"`: the mean of both cross-entropies, positions from T on not counting.

    Args:
        config: a `BERTConfig`; BERT base unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """


@register_model(TINY_HEAD)
class BERTForMultipleChoice(CrossEntropy, Classifier, BERTPooled):
    """Which of several texts fits best.

    `model({"input_ids": (B, C, T)})`, and mask and token types of that shape, gives `{"logits": (B, C)}`: a score
    for each of C texts; with `labels`, `(B,)`, the text to be chosen, also `"loss"`: their mean cross-entropy. Maps
    and hidden states are of all texts one after another, `(B * C, ...)`.

    Args:
        config: a `BERTConfig`; BERT base unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    choices = True

    @property
    def num_classes(self):
        return 1

    def head(self, x, given, training=None):
        scores = self.classify(self.pool(x), training)
        return {"logits": ops.reshape(scores, ops.shape(given["input_ids"])[:2])}
