"""GPT with other heads than the language model's: sequences, tokens, spans, and a choice between texts."""

from __future__ import annotations

from typing import ClassVar

import keras
from keras import ops

from keras_tx.layers.core.dropout import Dropout
from keras_tx.models.core.registry import register_model
from keras_tx.models.core.text_heads import (
    QuestionAnswering,
    SequenceClassification,
    TokenClassification,
    take_positions,
)
from keras_tx.models.gpt import huggingface as gpt
from keras_tx.models.gpt import llama
from keras_tx.models.gpt.config import TINY
from keras_tx.models.gpt.model import GPTBackbone, GPTLanguageModel
from keras_tx.ops.activations import get_activation
from keras_tx.ops.checks import require_below, require_integer, require_shape
from keras_tx.ops.losses import token_cross_entropy

TINY_HEAD = TINY.replace(num_layers=1, num_labels=5)


@register_model(TINY_HEAD)
class GPTForSequenceClassification(SequenceClassification, GPTBackbone):
    """A label for each text, from the hidden state of its last token (Radford et al. 2018, section 3.2).

    `model(input_ids)` gives `{"logits": (B, num_labels)}`. The last token is the last one that is not
    `config.pad_token_id`, whatever the attention mask says; without a pad token, the last one under the attention
    mask. `labels` are `(B,)`, or `(B, num_labels)` for several labels a text; see `SequenceClassification`.

    Args:
        config: a `GPTConfig`; GPT-2 small unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    def make_head(self):
        self.classifier = self.linear(self.config.num_labels, "classifier", use_bias=False)

    def build(self, input_shape=None):
        super().build(input_shape)
        self.classifier.build((None, self.config.d_model))

    def head(self, x, given, training=None):
        return {"logits": self.classifier(take_positions(x, self._last_token(given)))}

    def _last_token(self, given):
        """The position of the last token that counts, `(B,)`; 0 where none does."""
        ids, mask = given["input_ids"], given["attention_mask"]
        if self.config.pad_token_id is not None:
            counts = ops.not_equal(ids, self.config.pad_token_id)
        elif mask is not None and len(mask.shape) > 2:
            raise ValueError(
                "`attention_mask` must be (batch, length): one that is (batch, queries, keys) does not say which token "
                "is the last. Set `pad_token_id` in the config."
            )
        else:
            counts = ops.ones_like(ids, "bool") if mask is None else ops.cast(mask, "bool")
        return ops.max(ops.where(counts, ops.arange(ops.shape(ids)[1], dtype="int32"), 0), axis=1)


@register_model(TINY_HEAD)
class GPTForTokenClassification(TokenClassification, GPTBackbone):
    """A label for each token.

    `model(input_ids)` gives `{"logits": (B, T, num_labels)}`; with `labels`, `(B, T)`, also `"loss"`: their mean
    cross-entropy, -100 not counting.

    Args:
        config: a `GPTConfig`; GPT-2 small unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """


@register_model(TINY_HEAD)
class GPTForQuestionAnswering(QuestionAnswering, GPTBackbone):
    """Where in a text the answer to a question starts and ends.

    `model(input_ids)` gives `{"start_logits": (B, T), "end_logits": (B, T)}`; with `start_positions` and
    `end_positions`, `(B,)` each, also `"loss"`: the mean of both cross-entropies, positions from T on not counting.

    Args:
        config: a `GPTConfig`; GPT-2 small unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    formats: ClassVar = {"huggingface": (*gpt.FAMILIES, *llama.ANSWERING)}


@register_model(TINY_HEAD.replace(tie_embeddings=False, summary_activation="tanh"))
class GPTDoubleHeadsModel(GPTLanguageModel):
    """A language model that also chooses between texts (Radford et al. 2018, section 3.3).

    `model({"input_ids": (B, C, T), "mc_token_ids": (B, C)})` gives `{"logits": (B, C, T, vocab_size),
    "mc_logits": (B, C)}`: a score for each of C texts, from the hidden state at its position in `mc_token_ids`. With
    `labels`, `(B, C, T)`, also `"loss"`, the language model's; with `mc_labels`, `(B,)`, the text to be chosen, also
    `"mc_loss"`. Compiled without a loss it trains on the sum of those whose labels it gets.

    Args:
        config: a `GPTConfig`; GPT-2 small unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    targets: ClassVar = {"logits": "labels", "mc_logits": "mc_labels"}
    choices = True

    def make_head(self):
        super().make_head()
        self.choice_drop = Dropout(self.config.summary_dropout, dtype=self.dtype_policy, name="choice_drop")
        self.choice_head = self.linear(1, "choice_head")
        self.choice_activation = get_activation(self.config.summary_activation or "linear")

    def build(self, input_shape=None):
        super().build(input_shape)
        self.choice_head.build((None, self.config.d_model))

    def input_signature(self):
        text = (None, None, None)
        shapes = {"input_ids": text, "attention_mask": text, "mc_token_ids": text[:2]}
        return {name: keras.InputSpec(name=name, shape=shape, dtype="int32") for name, shape in shapes.items()}

    def call(
        self,
        inputs,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        mc_token_ids=None,
        labels=None,
        mc_labels=None,
        return_attention: bool = False,
        return_hidden_states: bool = False,
        training=None,
    ):
        """As `GPTModel.call`, for C texts a row.

        Args:
            inputs: ids `(B, C, T)`, or a dict of any of the tensors below with `"input_ids"`.
            attention_mask, token_type_ids, position_ids: `(B, C, T)`.
            mc_token_ids: the position whose hidden state is each text's summary, `(B, C)`; the last one unless given.
            labels: `(B, C, T)`, the ids themselves, -100 where they shall not count.
            mc_labels: `(B,)`, which text is to be chosen.
            return_attention, return_hidden_states, training: as `GPTModel.call` takes them. The maps and hidden
                states are of all texts one after another, `(B * C, ...)`.
        """
        return self.answer(
            inputs,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            mc_token_ids=mc_token_ids,
            labels=labels,
            mc_labels=mc_labels,
            return_attention=return_attention,
            return_hidden_states=return_hidden_states,
            training=training,
        )

    def head(self, x, given, training=None):
        ids, summary = given["input_ids"], given["mc_token_ids"]
        batch, choices, length = ops.shape(ids)
        x = ops.reshape(x, (batch, choices, length, self.config.d_model))
        if summary is None:
            summary = ops.full((batch, choices), length - 1, "int32")
        require_integer(summary, "mc_token_ids")
        require_shape(summary, tuple(ids.shape)[:-1], "mc_token_ids")
        if ids.shape[-1] is not None:
            require_below(summary, ids.shape[-1], "mc_token_ids", "length")
        vectors = self.choice_drop(take_positions(x, summary), training=training)
        scores = self.choice_activation(self.choice_head(vectors))
        return {"logits": self.logits(x), "mc_logits": scores[..., 0]}

    def own_losses(self, outputs, labels):
        losses = super().own_losses(outputs, labels)
        if labels["mc_labels"] is not None:
            losses["mc_loss"] = token_cross_entropy(outputs["mc_logits"], labels["mc_labels"], "mc_labels")
        return losses
