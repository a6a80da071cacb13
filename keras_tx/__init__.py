"""Transformers as Keras 3 layers and models."""

from keras_tx.layers import (
    CrossAttention,
    DropPath,
    FeedForward,
    GroupedQueryAttention,
    MultiHeadAttention,
    MultiQueryAttention,
    PositionalEncoding,
    PositionEmbedding,
    RotaryPositionalEmbedding,
    TokenEmbedding,
    TransformerBlock,
)
from keras_tx.models import (
    BigramConfig,
    BigramModel,
    GPTConfig,
    GPTModel,
    create_model,
    gpt2_large,
    gpt2_medium,
    gpt2_small,
    gpt2_xl,
    gpt_char,
    gpt_small,
    list_models,
)
from keras_tx.ops import apply_rotary_pos_emb

__version__ = "0.1.0"

__all__ = [
    "BigramConfig",
    "BigramModel",
    "CrossAttention",
    "DropPath",
    "FeedForward",
    "GPTConfig",
    "GPTModel",
    "GroupedQueryAttention",
    "MultiHeadAttention",
    "MultiQueryAttention",
    "PositionEmbedding",
    "PositionalEncoding",
    "RotaryPositionalEmbedding",
    "TokenEmbedding",
    "TransformerBlock",
    "apply_rotary_pos_emb",
    "create_model",
    "gpt2_large",
    "gpt2_medium",
    "gpt2_small",
    "gpt2_xl",
    "gpt_char",
    "gpt_small",
    "list_models",
]
