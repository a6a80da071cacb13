"""T5 (Raffel et al. 2020) and its version 1.1, with their heads: every task from text to text."""

from __future__ import annotations

from typing import ClassVar

from keras_tx.models.core.heads import Seq2SeqLanguageModelHead, SpanHead, TokenHead
from keras_tx.models.core.registry import register_model
from keras_tx.models.core.seq2seq import EncoderDecoderModel, Seq2SeqLanguageModel
from keras_tx.models.core.text import TextModel
from keras_tx.models.t5 import huggingface, keras_hub
from keras_tx.models.t5.backbone import T5Backbone, T5EncoderModel
from keras_tx.models.t5.config import TINY, TINY_HEAD
from keras_tx.models.t5.heads import EndTokenHead

SHIFTED = ("right",)
"""A decoder that reads the source shifted right sees padding before it, as in Transformers."""


@register_model(TINY.replace(gated=True, activation="gelu_tanh", tie_embeddings=False))
class T5Model(Seq2SeqLanguageModel):
    """T5: a target text given a source text.

    `model(input_ids, decoder_input_ids)` gives `{"logits": (B, T, vocab_size)}`; with `labels`, `(B, T)`, which are
    shifted right where there are no `decoder_input_ids`, also `"loss"`: their mean cross-entropy in nats.
    """

    backbone_class, head_class = T5Backbone, Seq2SeqLanguageModelHead

    def head_arguments(self):
        scale = self.config.d_model**-0.5 if self.config.scales_output else 1.0
        return {"scale": scale, "kernel_initializer": self.backbone.normal()}


@register_model(TINY_HEAD)
class T5ForTokenClassification(TextModel):
    """A label for each token, from the encoder alone.

    `model(input_ids)` gives `{"logits": (B, T, num_labels)}`; with `labels`, `(B, T)`, also `"loss"`: their mean
    cross-entropy.
    """

    backbone_class, head_class = T5EncoderModel, TokenHead
    formats: ClassVar = {"huggingface": (huggingface.T5_IN_TAGGER,), "keras_hub": (keras_hub.T5_ENCODER,)}

    def head_arguments(self):
        return {"kernel_initializer": self.backbone.normal()}


@register_model(TINY_HEAD)
class T5ForSequenceClassification(EncoderDecoderModel):
    """A label for each text, from the decoder's state at the text's end.

    `model(input_ids)` gives `{"logits": (B, num_labels)}`. The decoder reads the text shifted right, as long as the
    text, and its state is taken where the text has its last `config.eos_token_id`, which each must have; without one in
    the config, at the last token under the attention mask. `labels` are `(B,)`, or `(B, num_labels)` for several labels
    a text; the loss is that of `SequenceHead`.
    """

    backbone_class, head_class = T5Backbone, EndTokenHead
    formats: ClassVar = {"huggingface": (huggingface.T5_IN_CLASSIFIER,), "keras_hub": (keras_hub.T5,)}
    padding_sides = SHIFTED


@register_model(TINY_HEAD)
class T5ForQuestionAnswering(EncoderDecoderModel):
    """Question answering: where in a text the answer starts and ends.

    `model(input_ids)` gives `{"start_logits": (B, T), "end_logits": (B, T)}`, from the decoder's states, which reads
    the text shifted right; with `start_positions` and `end_positions`, `(B,)` each, also `"loss"`: the mean of both
    cross-entropies, positions from T on not counting.
    """

    backbone_class, head_class = T5Backbone, SpanHead
    padding_sides = SHIFTED
