"""DeBERTa, version 2 and 3: BERT whose attention tells what a token is from where it stands."""

from keras_tx.models.deberta.backbone import DebertaV2Backbone
from keras_tx.models.deberta.config import DebertaV2Config
from keras_tx.models.deberta.model import (
    DebertaV2ForMaskedLM,
    DebertaV2ForMultipleChoice,
    DebertaV2ForQuestionAnswering,
    DebertaV2ForSequenceClassification,
    DebertaV2ForTokenClassification,
    DebertaV2Model,
)
from keras_tx.models.deberta.variants import (
    deberta_v2_xlarge,
    deberta_v2_xxlarge,
    deberta_v3_base,
    deberta_v3_large,
    deberta_v3_small,
    deberta_v3_xsmall,
)

EXTENDS = ("bert",)

__all__ = [
    "DebertaV2Backbone",
    "DebertaV2Config",
    "DebertaV2ForMaskedLM",
    "DebertaV2ForMultipleChoice",
    "DebertaV2ForQuestionAnswering",
    "DebertaV2ForSequenceClassification",
    "DebertaV2ForTokenClassification",
    "DebertaV2Model",
    "deberta_v2_xlarge",
    "deberta_v2_xxlarge",
    "deberta_v3_base",
    "deberta_v3_large",
    "deberta_v3_small",
    "deberta_v3_xsmall",
]
