"""ELECTRA: BERT with narrower embeddings and without a pooler, trained to find replaced tokens."""

from keras_tx.models.electra.backbone import ElectraBackbone
from keras_tx.models.electra.config import ElectraConfig
from keras_tx.models.electra.model import (
    ElectraForMaskedLM,
    ElectraForMultipleChoice,
    ElectraForPreTraining,
    ElectraForQuestionAnswering,
    ElectraForSequenceClassification,
    ElectraForTokenClassification,
    ElectraModel,
)
from keras_tx.models.electra.variants import electra_base, electra_large, electra_small

EXTENDS = ("bert",)

__all__ = [
    "ElectraBackbone",
    "ElectraConfig",
    "ElectraForMaskedLM",
    "ElectraForMultipleChoice",
    "ElectraForPreTraining",
    "ElectraForQuestionAnswering",
    "ElectraForSequenceClassification",
    "ElectraForTokenClassification",
    "ElectraModel",
    "electra_base",
    "electra_large",
    "electra_small",
]
