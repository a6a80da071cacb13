"""ESM: RoBERTa with the norms first and rotary positions, of proteins."""

from keras_tx.models.esm.backbone import EsmBackbone
from keras_tx.models.esm.config import EsmConfig
from keras_tx.models.esm.model import (
    EsmForMaskedLM,
    EsmForSequenceClassification,
    EsmForTokenClassification,
    EsmModel,
)
from keras_tx.models.esm.variants import esm2_t6_8m, esm2_t12_35m, esm2_t30_150m, esm2_t33_650m

EXTENDS = ("roberta", "bert")

__all__ = [
    "EsmBackbone",
    "EsmConfig",
    "EsmForMaskedLM",
    "EsmForSequenceClassification",
    "EsmForTokenClassification",
    "EsmModel",
    "esm2_t6_8m",
    "esm2_t12_35m",
    "esm2_t30_150m",
    "esm2_t33_650m",
]
