"""MPNet: RoBERTa with relative positions in its attention and without token types."""

from keras_tx.models.mpnet.backbone import MPNetBackbone
from keras_tx.models.mpnet.config import MPNetConfig
from keras_tx.models.mpnet.model import (
    MPNetForMaskedLM,
    MPNetForMultipleChoice,
    MPNetForQuestionAnswering,
    MPNetForSequenceClassification,
    MPNetForTokenClassification,
    MPNetModel,
)
from keras_tx.models.mpnet.variants import mpnet_base

EXTENDS = ("bert", "roberta")

__all__ = [
    "MPNetBackbone",
    "MPNetConfig",
    "MPNetForMaskedLM",
    "MPNetForMultipleChoice",
    "MPNetForQuestionAnswering",
    "MPNetForSequenceClassification",
    "MPNetForTokenClassification",
    "MPNetModel",
    "mpnet_base",
]
