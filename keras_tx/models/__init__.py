"""The models, one family a file, and their registry."""

from keras_tx.models.auto import load_pretrained
from keras_tx.models.bigram import BigramConfig, BigramModel
from keras_tx.models.gpt import (
    GPTConfig,
    GPTModel,
    gpt2_large,
    gpt2_medium,
    gpt2_small,
    gpt2_xl,
    gpt_char,
    gpt_small,
)
from keras_tx.models.gpt_heads import (
    GPTDoubleHeadsModel,
    GPTForQuestionAnswering,
    GPTForSequenceClassification,
    GPTForTokenClassification,
)
from keras_tx.models.registry import create_model, list_models

__all__ = [
    "BigramConfig",
    "BigramModel",
    "GPTConfig",
    "GPTDoubleHeadsModel",
    "GPTForQuestionAnswering",
    "GPTForSequenceClassification",
    "GPTForTokenClassification",
    "GPTModel",
    "create_model",
    "gpt2_large",
    "gpt2_medium",
    "gpt2_small",
    "gpt2_xl",
    "gpt_char",
    "gpt_small",
    "list_models",
    "load_pretrained",
]
