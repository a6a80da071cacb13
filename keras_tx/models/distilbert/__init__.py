"""DistilBERT: BERT without token types and pooler, half as deep, and its heads."""

from keras_tx.models.distilbert.backbone import DistilBertBackbone
from keras_tx.models.distilbert.config import DistilBertConfig
from keras_tx.models.distilbert.model import (
    DistilBertForMaskedLM,
    DistilBertForMultipleChoice,
    DistilBertForQuestionAnswering,
    DistilBertForSequenceClassification,
    DistilBertForTokenClassification,
    DistilBertModel,
)
from keras_tx.models.distilbert.variants import distilbert_base

EXTENDS = ("bert",)

__all__ = [
    "DistilBertBackbone",
    "DistilBertConfig",
    "DistilBertForMaskedLM",
    "DistilBertForMultipleChoice",
    "DistilBertForQuestionAnswering",
    "DistilBertForSequenceClassification",
    "DistilBertForTokenClassification",
    "DistilBertModel",
    "distilbert_base",
]
