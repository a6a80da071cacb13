"""T5 and its version 1.1."""

from keras_tx.models.t5.backbone import T5Backbone, T5EncoderModel
from keras_tx.models.t5.config import T5Config
from keras_tx.models.t5.model import (
    T5ForQuestionAnswering,
    T5ForSequenceClassification,
    T5ForTokenClassification,
    T5Model,
)
from keras_tx.models.t5.variants import (
    t5_base,
    t5_large,
    t5_small,
    t5_v1_1_base,
    t5_v1_1_large,
    t5_v1_1_small,
    t5_v1_1_xl,
    t5_v1_1_xxl,
    t5_xl,
    t5_xxl,
)

__all__ = [
    "T5Backbone",
    "T5Config",
    "T5EncoderModel",
    "T5ForQuestionAnswering",
    "T5ForSequenceClassification",
    "T5ForTokenClassification",
    "T5Model",
    "t5_base",
    "t5_large",
    "t5_small",
    "t5_v1_1_base",
    "t5_v1_1_large",
    "t5_v1_1_small",
    "t5_v1_1_xl",
    "t5_v1_1_xxl",
    "t5_xl",
    "t5_xxl",
]
