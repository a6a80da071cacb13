"""GPT-1, GPT-2, LLaMA, Mistral, Mixtral."""

from keras_tx.models.gpt.backbone import GPTBackbone
from keras_tx.models.gpt.config import GPTConfig
from keras_tx.models.gpt.model import (
    GPTDoubleHeadsModel,
    GPTForQuestionAnswering,
    GPTForSequenceClassification,
    GPTForTokenClassification,
    GPTModel,
)
from keras_tx.models.gpt.variants import (
    gpt2_large,
    gpt2_medium,
    gpt2_small,
    gpt2_xl,
    gpt_char,
    gpt_small,
    llama2_7b,
    llama2_13b,
    llama2_70b,
    llama3_2_1b,
    llama3_2_3b,
    llama3_8b,
    llama3_70b,
)

__all__ = [
    "GPTBackbone",
    "GPTConfig",
    "GPTDoubleHeadsModel",
    "GPTForQuestionAnswering",
    "GPTForSequenceClassification",
    "GPTForTokenClassification",
    "GPTModel",
    "gpt2_large",
    "gpt2_medium",
    "gpt2_small",
    "gpt2_xl",
    "gpt_char",
    "gpt_small",
    "llama2_7b",
    "llama2_13b",
    "llama2_70b",
    "llama3_2_1b",
    "llama3_2_3b",
    "llama3_8b",
    "llama3_70b",
]
