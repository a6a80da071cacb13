"""XLM-RoBERTa (Conneau et al. 2020) and its heads: RoBERTa's on its backbone."""

from __future__ import annotations

from keras_tx.models.core.registry import register_model
from keras_tx.models.roberta.model import (
    RobertaForMaskedLM,
    RobertaForMultipleChoice,
    RobertaForQuestionAnswering,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    RobertaModel,
)
from keras_tx.models.xlm_roberta.backbone import XLMRobertaBackbone
from keras_tx.models.xlm_roberta.config import TINY, TINY_HEAD


@register_model(TINY)
class XLMRobertaModel(RobertaModel):
    """XLM-RoBERTa without a head: gives what `BERTModel` does."""

    backbone_class = XLMRobertaBackbone


@register_model(TINY_HEAD)
class XLMRobertaForMaskedLM(RobertaForMaskedLM):
    """What stands at each place of a text, masked or not: gives what `BERTForMaskedLM` does."""

    backbone_class = XLMRobertaBackbone


@register_model(TINY_HEAD)
class XLMRobertaForSequenceClassification(RobertaForSequenceClassification):
    """A label for each text or pair of texts: gives what `RobertaForSequenceClassification` does."""

    backbone_class = XLMRobertaBackbone


@register_model(TINY_HEAD)
class XLMRobertaForTokenClassification(RobertaForTokenClassification):
    """A label for each token: gives what `BERTForTokenClassification` does."""

    backbone_class = XLMRobertaBackbone


@register_model(TINY_HEAD)
class XLMRobertaForQuestionAnswering(RobertaForQuestionAnswering):
    """Where in a text the answer to a question starts and ends: gives what `BERTForQuestionAnswering` does."""

    backbone_class = XLMRobertaBackbone


@register_model(TINY_HEAD)
class XLMRobertaForMultipleChoice(RobertaForMultipleChoice):
    """Which of several texts fits best: gives what `BERTForMultipleChoice` does."""

    backbone_class = XLMRobertaBackbone
