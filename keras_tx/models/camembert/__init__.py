"""CamemBERT: RoBERTa by another name, with another vocabulary."""

from keras_tx.models.camembert.backbone import CamembertBackbone
from keras_tx.models.camembert.config import CamembertConfig
from keras_tx.models.camembert.model import (
    CamembertForMaskedLM,
    CamembertForMultipleChoice,
    CamembertForQuestionAnswering,
    CamembertForSequenceClassification,
    CamembertForTokenClassification,
    CamembertModel,
)
from keras_tx.models.camembert.variants import camembert_base, camembert_large

EXTENDS = ("roberta",)

__all__ = [
    "CamembertBackbone",
    "CamembertConfig",
    "CamembertForMaskedLM",
    "CamembertForMultipleChoice",
    "CamembertForQuestionAnswering",
    "CamembertForSequenceClassification",
    "CamembertForTokenClassification",
    "CamembertModel",
    "camembert_base",
    "camembert_large",
]
