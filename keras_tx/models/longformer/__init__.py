"""Longformer: RoBERTa for long texts, whose blocks look at what is near and at global tokens."""

from keras_tx.models.longformer.backbone import LongformerBackbone
from keras_tx.models.longformer.config import LongformerConfig
from keras_tx.models.longformer.model import (
    LongformerForMaskedLM,
    LongformerForMultipleChoice,
    LongformerForQuestionAnswering,
    LongformerForSequenceClassification,
    LongformerForTokenClassification,
    LongformerModel,
)
from keras_tx.models.longformer.variants import longformer_base_4096, longformer_large_4096

EXTENDS = ("bert", "roberta")

__all__ = [
    "LongformerBackbone",
    "LongformerConfig",
    "LongformerForMaskedLM",
    "LongformerForMultipleChoice",
    "LongformerForQuestionAnswering",
    "LongformerForSequenceClassification",
    "LongformerForTokenClassification",
    "LongformerModel",
    "longformer_base_4096",
    "longformer_large_4096",
]
