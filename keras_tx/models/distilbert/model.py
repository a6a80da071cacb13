"""DistilBERT (Sanh et al. 2019) and its heads."""

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
from keras_tx.models.distilbert.backbone import DistilBertBackbone
from keras_tx.models.distilbert.config import TINY, TINY_HEAD


@register_model(TINY)
class DistilBertModel(BareTextModel):
    """DistilBERT without a head: gives what `BareTextModel` does."""

    backbone_class = DistilBertBackbone


@register_model(TINY_HEAD)
class DistilBertForMaskedLM(BERTForMaskedLM):
    """What stands at each place of a text, masked or not: gives what `BERTForMaskedLM` does."""

    backbone_class = DistilBertBackbone


@register_model(TINY_HEAD)
class DistilBertForSequenceClassification(TextModel):
    """A label for each text or pair of texts: gives what `RobertaForSequenceClassification` does."""

    backbone_class, head_class = DistilBertBackbone, FirstTokenHead
    padding_sides = POOLED

    def head_arguments(self):
        return {"activation": "relu", "first_dropout": 0.0}


@register_model(TINY_HEAD)
class DistilBertForTokenClassification(BERTForTokenClassification):
    """A label for each token: gives what `BERTForTokenClassification` does."""

    backbone_class = DistilBertBackbone

    def head_arguments(self):
        return {"dropout": self.config.hidden_dropout}


@register_model(TINY_HEAD)
class DistilBertForQuestionAnswering(BERTForQuestionAnswering):
    """Where in a text the answer to a question starts and ends: gives what `BERTForQuestionAnswering` does."""

    backbone_class = DistilBertBackbone

    def head_arguments(self):
        return {"dropout": self.config.qa_dropout}


@register_model(TINY_HEAD)
class DistilBertForMultipleChoice(TextModel):
    """Which of several texts fits best: gives what `BERTForMultipleChoice` does."""

    backbone_class, head_class = DistilBertBackbone, FirstTokenChoiceHead
    choices = True
    padding_sides = POOLED
