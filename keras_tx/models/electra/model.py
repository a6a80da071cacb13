"""ELECTRA (Clark et al. 2020) and its heads: of the discriminator, of the generator, and of what is made of both."""

from __future__ import annotations

from keras_tx.models.bert.model import (
    POOLED,
    BERTForMaskedLM,
    BERTForQuestionAnswering,
    BERTForTokenClassification,
)
from keras_tx.models.core.first_token import FirstTokenChoiceHead, FirstTokenHead
from keras_tx.models.core.registry import register_model
from keras_tx.models.core.text import BareTextModel, TextModel
from keras_tx.models.electra.backbone import ElectraBackbone
from keras_tx.models.electra.config import TINY, TINY_HEAD
from keras_tx.models.electra.heads import ReplacedTokenHead


@register_model(TINY)
class ElectraModel(BareTextModel):
    """ELECTRA without a head: gives what `BareTextModel` does."""

    backbone_class = ElectraBackbone


@register_model(TINY_HEAD)
class ElectraForPreTraining(TextModel):
    """The discriminator: which tokens of a text were replaced.

    `model(input_ids)` gives `{"logits": (B, T)}`, above 0 where a token was replaced; with `labels`, `(B, T)`, 1 where
    it was and 0 elsewhere, also `"loss"`: their mean binary cross-entropy over the tokens that are not padding.
    """

    backbone_class, head_class = ElectraBackbone, ReplacedTokenHead


@register_model(TINY_HEAD)
class ElectraForMaskedLM(BERTForMaskedLM):
    """The generator, a masked language model: gives what `BERTForMaskedLM` does."""

    backbone_class = ElectraBackbone

    def head_arguments(self):
        return {**super().head_arguments(), "activation": "gelu"}  # whatever the blocks have


@register_model(TINY_HEAD)
class ElectraForSequenceClassification(TextModel):
    """A label for each text or pair of texts: gives what `RobertaForSequenceClassification` does."""

    backbone_class, head_class = ElectraBackbone, FirstTokenHead
    padding_sides = POOLED

    def head_arguments(self):
        return {"activation": "gelu"}


@register_model(TINY_HEAD)
class ElectraForTokenClassification(BERTForTokenClassification):
    """A label for each token: gives what `BERTForTokenClassification` does."""

    backbone_class = ElectraBackbone


@register_model(TINY_HEAD)
class ElectraForQuestionAnswering(BERTForQuestionAnswering):
    """Where in a text the answer to a question starts and ends: gives what `BERTForQuestionAnswering` does."""

    backbone_class = ElectraBackbone


@register_model(TINY_HEAD)
class ElectraForMultipleChoice(TextModel):
    """Which of several texts fits best: gives what `BERTForMultipleChoice` does."""

    backbone_class, head_class = ElectraBackbone, FirstTokenChoiceHead
    choices = True
    padding_sides = POOLED

    def head_arguments(self):
        c = self.config
        return {"activation": c.summary_activation or "linear", "dropout": c.summary_dropout}
