"""ALBERT: BERT whose layers share their weights, with narrower embeddings."""

from keras_tx.models.albert.backbone import AlbertBackbone
from keras_tx.models.albert.config import AlbertConfig
from keras_tx.models.albert.model import (
    AlbertForMaskedLM,
    AlbertForMultipleChoice,
    AlbertForPreTraining,
    AlbertForQuestionAnswering,
    AlbertForSequenceClassification,
    AlbertForTokenClassification,
    AlbertModel,
)
from keras_tx.models.albert.variants import albert_base, albert_large, albert_xlarge, albert_xxlarge

EXTENDS = ("bert",)

__all__ = [
    "AlbertBackbone",
    "AlbertConfig",
    "AlbertForMaskedLM",
    "AlbertForMultipleChoice",
    "AlbertForPreTraining",
    "AlbertForQuestionAnswering",
    "AlbertForSequenceClassification",
    "AlbertForTokenClassification",
    "AlbertModel",
    "albert_base",
    "albert_large",
    "albert_xlarge",
    "albert_xxlarge",
]
