"""BERT (Devlin et al. 2018) and its heads: a bidirectional encoder of texts and of pairs of texts."""

from __future__ import annotations

from typing import ClassVar

from keras_tx.models.bert.backbone import BERTBackbone
from keras_tx.models.bert.config import TINY, TINY_HEAD
from keras_tx.models.bert.heads import NextSentenceHead, PreTrainingHead
from keras_tx.models.core.heads import ChoiceHead, MaskedLanguageModelHead, PooledSequenceHead, SpanHead, TokenHead
from keras_tx.models.core.registry import register_model
from keras_tx.models.core.text import TextModel

POOLED = ("right",)
"""The pooler reads the token at position 0, as in Transformers."""


@register_model(TINY)
class BERTModel(TextModel):
    """BERT without a head.

    `sequence_output, pooled_output = model(input_ids)`: the last hidden states, `(B, T, d_model)`, and a vector of
    the whole text, `(B, d_model)`; with `return_attention`, then a tuple of every block's map, `(B, H, T, T)`; with
    `return_hidden_states`, then a tuple of the embeddings and each block's output.
    """

    backbone_class = BERTBackbone
    backbone_options: ClassVar = {"pooler": True}
    padding_sides = POOLED

    @property
    def output_keys(self):
        return ("sequence_output", "pooled_output")

    def answer(self, hidden, given, training=None):
        names = ("last_hidden_state", "pooler_output", "attentions", "hidden_states")
        return tuple(hidden[name] for name in names if name in hidden)


class _MaskedTokensModel(TextModel):
    """A model whose head says what stands at each place."""

    def head_arguments(self):
        c = self.config
        epsilon = c.norm_epsilon if c.head_norm_epsilon is None else c.head_norm_epsilon
        return {"activation": c.head_activation or c.activation, "norm_epsilon": epsilon}


@register_model(TINY_HEAD)
class BERTForPreTraining(_MaskedTokensModel):
    """Both tasks of BERT's pre-training (Devlin et al. 2018, section 3.1).

    `model(input_ids)` gives `{"logits": (B, T, vocab_size), "seq_relationship_logits": (B, 2)}`: of the token at each
    place, and of the second text following the first (0) or not (1). With `labels`, `(B, T)`, and
    `next_sentence_label`, `(B,)`, also `"loss"`: the sum of both mean cross-entropies; it needs both.
    """

    backbone_class, head_class = BERTBackbone, PreTrainingHead
    backbone_options: ClassVar = {"pooler": True}
    padding_sides = POOLED


@register_model(TINY_HEAD)
class BERTForMaskedLM(_MaskedTokensModel):
    """A masked language model: the token at each place of a text, masked or not.

    `model(input_ids)` gives `{"logits": (B, T, vocab_size)}`; with `labels`, `(B, T)`, also `"loss"`: their mean
    cross-entropy in nats.
    """

    backbone_class, head_class = BERTBackbone, MaskedLanguageModelHead
    backbone_options: ClassVar = {"pooler": False}


@register_model(TINY_HEAD)
class BERTForNextSentencePrediction(TextModel):
    """Next sentence prediction: whether the second text of a pair follows the first.

    `model(input_ids)` gives `{"logits": (B, 2)}`, of following (0) and of not (1); with `labels`, `(B,)`, also
    `"loss"`: their mean cross-entropy.
    """

    backbone_class, head_class = BERTBackbone, NextSentenceHead
    backbone_options: ClassVar = {"pooler": True}
    padding_sides = POOLED


@register_model(TINY_HEAD)
class BERTForSequenceClassification(TextModel):
    """A label for each text or pair of texts, from the pooled output.

    `model(input_ids)` gives `{"logits": (B, num_labels)}`. `labels` are `(B,)`, or `(B, num_labels)` for several
    labels a text; the loss is that of `SequenceHead`.
    """

    backbone_class, head_class = BERTBackbone, PooledSequenceHead
    backbone_options: ClassVar = {"pooler": True}
    padding_sides = POOLED


@register_model(TINY_HEAD)
class BERTForTokenClassification(TextModel):
    """A label for each token.

    `model(input_ids)` gives `{"logits": (B, T, num_labels)}`; with `labels`, `(B, T)`, also `"loss"`: their mean
    cross-entropy.
    """

    backbone_class, head_class = BERTBackbone, TokenHead
    backbone_options: ClassVar = {"pooler": False}


@register_model(TINY_HEAD)
class BERTForQuestionAnswering(TextModel):
    """Question answering: where in a text the answer starts and ends.

    `model(input_ids)` gives `{"start_logits": (B, T), "end_logits": (B, T)}`; with `start_positions` and
    `end_positions`, `(B,)` each, also `"loss"`: the mean of both cross-entropies, positions from T on not counting.
    """

    backbone_class, head_class = BERTBackbone, SpanHead
    backbone_options: ClassVar = {"pooler": False}


@register_model(TINY_HEAD)
class BERTForMultipleChoice(TextModel):
    """Multiple choice: the one of several texts that fits best.

    `model({"input_ids": (B, C, T)})`, and mask and token types of that shape, gives `{"logits": (B, C)}`: a score
    for each of C texts; with `labels`, `(B,)`, the text to be chosen, also `"loss"`: their mean cross-entropy.
    """

    backbone_class, head_class = BERTBackbone, ChoiceHead
    choices = True
    backbone_options: ClassVar = {"pooler": True}
    padding_sides = POOLED
