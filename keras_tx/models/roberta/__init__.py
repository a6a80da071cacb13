"""RoBERTa: BERT but for its positions, its heads' details and its checkpoints."""

from keras_tx.models.roberta.backbone import RobertaBackbone
from keras_tx.models.roberta.config import RobertaConfig
from keras_tx.models.roberta.model import (
    RobertaForMaskedLM,
    RobertaForMultipleChoice,
    RobertaForQuestionAnswering,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    RobertaModel,
)
from keras_tx.models.roberta.variants import roberta_base, roberta_large

EXTENDS = ("bert",)

__all__ = [
    "RobertaBackbone",
    "RobertaConfig",
    "RobertaForMaskedLM",
    "RobertaForMultipleChoice",
    "RobertaForQuestionAnswering",
    "RobertaForSequenceClassification",
    "RobertaForTokenClassification",
    "RobertaModel",
    "roberta_base",
    "roberta_large",
]
