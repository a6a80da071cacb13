"""XLM-RoBERTa: RoBERTa by another name, with another vocabulary."""

from keras_tx.models.xlm_roberta.backbone import XLMRobertaBackbone
from keras_tx.models.xlm_roberta.config import XLMRobertaConfig
from keras_tx.models.xlm_roberta.model import (
    XLMRobertaForMaskedLM,
    XLMRobertaForMultipleChoice,
    XLMRobertaForQuestionAnswering,
    XLMRobertaForSequenceClassification,
    XLMRobertaForTokenClassification,
    XLMRobertaModel,
)
from keras_tx.models.xlm_roberta.variants import xlm_roberta_base, xlm_roberta_large

EXTENDS = ("roberta",)

__all__ = [
    "XLMRobertaBackbone",
    "XLMRobertaConfig",
    "XLMRobertaForMaskedLM",
    "XLMRobertaForMultipleChoice",
    "XLMRobertaForQuestionAnswering",
    "XLMRobertaForSequenceClassification",
    "XLMRobertaForTokenClassification",
    "XLMRobertaModel",
    "xlm_roberta_base",
    "xlm_roberta_large",
]
