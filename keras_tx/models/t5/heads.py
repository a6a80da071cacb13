"""T5 with other heads than the language model's: the encoder alone, sequences, tokens and spans."""

from __future__ import annotations

from typing import ClassVar

import keras
from keras import ops

from keras_tx.layers.core.dropout import Dropout
from keras_tx.models.core.base import text_inputs
from keras_tx.models.core.registry import register_model
from keras_tx.models.core.seq2seq import LabelledPair
from keras_tx.models.core.text_heads import SequenceLoss, SpanHead, TokenClassification, take_positions
from keras_tx.models.t5.config import TINY
from keras_tx.models.t5.huggingface import T5_ENCODER, T5_IN_CLASSIFIER, T5_IN_TAGGER
from keras_tx.models.t5.model import T5Backbone, T5Encoder
from keras_tx.ops.checks import known_values, require_shape

TINY_HEAD = TINY.replace(num_layers=1, num_decoder_layers=None, num_labels=5)


# === Of the encoder alone ===


class T5EncoderBackbone(T5Encoder):
    """The encoder as the whole of a model."""

    def hidden(
        self,
        input_ids,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        *,
        return_attention: bool = False,
        training=None,
    ) -> dict:
        if token_type_ids is not None:
            raise ValueError("T5 knows no kinds of tokens: leave out `token_type_ids`.")
        asked = {"return_attention": return_attention, "training": training}
        return self.encoded(input_ids, attention_mask, position_ids, **asked)


@register_model(TINY)
class T5EncoderModel(T5EncoderBackbone):
    """T5's encoder without a head.

    `model(input_ids)` gives `{"last_hidden_state": (B, T, d_model)}`.

    Args:
        config: a `T5Config`; T5 small unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    formats: ClassVar = {"huggingface": (T5_ENCODER,)}
    targets: ClassVar = {}

    def call(
        self,
        inputs,
        attention_mask=None,
        return_attention: bool = False,
        return_hidden_states: bool = False,
        training=None,
    ):
        """The encoder's output.

        Args:
            inputs: ids `(B, T)`, or a dict with `"input_ids"`.
            attention_mask: `(B, T)`, 0 at padding; or `(B, T, T)`, for each token 0 at those it shall not see.
            return_attention: also return the attention maps, `"attentions"`: of every block, `(B, H, T, T)`.
            return_hidden_states: also return `"hidden_states"`: the embeddings, then each block's output, the last one
                after the final norm.
            training: whether dropout is active.

        Returns:
            A dict with `"last_hidden_state"`, and what else was asked for.
        """
        given = text_inputs(inputs, attention_mask=attention_mask)
        outputs = self.hidden(**given, return_attention=return_attention, training=training)
        wanted = {"attentions": return_attention, "hidden_states": return_hidden_states}
        extras = {name: outputs[name] for name, asked in wanted.items() if asked}
        return {"last_hidden_state": outputs["hidden_states"][-1], **extras}


@register_model(TINY_HEAD)
class T5ForTokenClassification(TokenClassification, T5EncoderBackbone):
    """A label for each token, from the encoder alone.

    `model(input_ids)` gives `{"logits": (B, T, num_labels)}`; with `labels`, `(B, T)`, also `"loss"`: their mean
    cross-entropy, -100 not counting.

    Args:
        config: a `T5Config`; T5 small unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    formats: ClassVar = {"huggingface": (T5_IN_TAGGER,)}

    def make_head(self):
        super().make_head()
        self.classifier.kernel_initializer = self.normal()


# === Of both stacks ===


@register_model(TINY_HEAD)
class T5ForSequenceClassification(SequenceLoss, LabelledPair, T5Backbone):
    """A label for each text, from the decoder's state at the text's end.

    `model(input_ids)` gives `{"logits": (B, num_labels)}`. The decoder reads the text shifted right, as long as the
    text, and its state is taken where the text has its last `config.eos_token_id`, which each must have; without one in
    the config, at the last token under the attention mask. `labels` are `(B,)`, or `(B, num_labels)` for several labels
    a text; see `SequenceLoss`.

    Args:
        config: a `T5Config`; T5 small unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    formats: ClassVar = {"huggingface": (T5_IN_CLASSIFIER,)}
    padding_sides = ("right",)  # the decoder sees padding before its text, as in Transformers

    def make_head(self):
        self.classifier_drop = Dropout(self.classifier_rate(), dtype=self.dtype_policy, name="classifier_drop")
        self.transform = self.linear(self.config.d_model, "transform")
        self.classifier = self.linear(self.config.num_labels, "classifier")

    def build(self, input_shape=None):
        super().build(input_shape)
        for layer in (self.transform, self.classifier):
            layer.build((None, self.config.d_model))

    def head(self, x, given, training=None):
        require_shape(given["decoder_input_ids"], tuple(given["input_ids"].shape), "decoder_input_ids")
        ends = self._ends(given)
        x = take_positions(x, ops.max(ops.where(ends, ops.arange(ops.shape(ends)[1], dtype="int32"), 0), axis=1))
        x = ops.tanh(self.transform(self.classifier_drop(x, training=training)))
        logits = self.classifier(self.classifier_drop(x, training=training))
        # A graph cannot raise.
        return {"logits": ops.where(ops.any(ends, axis=1, keepdims=True), logits, float("nan"))}

    def _ends(self, given):
        """Where the text may end, `(B, T)` boolean."""
        ids, mask, ends = given["input_ids"], given["attention_mask"], self.config.eos_token_id
        if ends is None:
            return ops.ones_like(ids, "bool") if mask is None else ops.cast(mask, "bool")
        found = ops.any(ops.stack([ids == end for end in keras.tree.flatten(ends)]), axis=0)
        known = known_values(found)
        if known is not None and not known.any(axis=1).all():
            raise ValueError(f"each row of `input_ids` must hold `eos_token_id` = {ends}: there it is read.")
        return found


@register_model(TINY_HEAD)
class T5ForQuestionAnswering(SpanHead, T5Backbone):
    """Where in a text the answer to a question starts and ends.

    `model(input_ids)` gives `{"start_logits": (B, T), "end_logits": (B, T)}`, from the decoder's states, which reads
    the text shifted right; with `start_positions` and `end_positions`, `(B,)` each, also `"loss"`: the mean of both
    cross-entropies, positions from T on not counting.

    Args:
        config: a `T5Config`; T5 small unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    padding_sides = ("right",)  # as of the sequence classifier

    def call(
        self,
        inputs,
        decoder_input_ids=None,
        attention_mask=None,
        decoder_attention_mask=None,
        start_positions=None,
        end_positions=None,
        return_attention: bool = False,
        return_hidden_states: bool = False,
        training=None,
    ):
        """As `T5Model.call`, with two kinds of labels; `decoder_input_ids` are the text shifted right unless given."""
        return self.answer(
            inputs,
            attention_mask=attention_mask,
            decoder_input_ids=decoder_input_ids,
            decoder_attention_mask=decoder_attention_mask,
            start_positions=start_positions,
            end_positions=end_positions,
            return_attention=return_attention,
            return_hidden_states=return_hidden_states,
            training=training,
        )
