"""BERT."""

from keras_tx.models.bert.backbone import BERTBackbone
from keras_tx.models.bert.config import BERTConfig
from keras_tx.models.bert.model import (
    BERTForMaskedLM,
    BERTForMultipleChoice,
    BERTForNextSentencePrediction,
    BERTForPreTraining,
    BERTForQuestionAnswering,
    BERTForSequenceClassification,
    BERTForTokenClassification,
    BERTModel,
)
from keras_tx.models.bert.variants import bert_base, bert_large

__all__ = [
    "BERTBackbone",
    "BERTConfig",
    "BERTForMaskedLM",
    "BERTForMultipleChoice",
    "BERTForNextSentencePrediction",
    "BERTForPreTraining",
    "BERTForQuestionAnswering",
    "BERTForSequenceClassification",
    "BERTForTokenClassification",
    "BERTModel",
    "bert_base",
    "bert_large",
]
