"""Keras layers: attention, embeddings, feed-forward networks, blocks."""

from keras_tx.layers.attention import (
    CrossAttention,
    GroupedQueryAttention,
    MultiHeadAttention,
    MultiQueryAttention,
)
from keras_tx.layers.block import BlockCache, TransformerBlock
from keras_tx.layers.dropout import DropPath
from keras_tx.layers.embeddings import (
    PositionalEncoding,
    PositionEmbedding,
    RotaryPositionalEmbedding,
    TokenEmbedding,
)
from keras_tx.layers.feedforward import FeedForward
from keras_tx.layers.patches import PatchEmbedding
from keras_tx.layers.scale import LayerScale

__all__ = [
    "BlockCache",
    "CrossAttention",
    "DropPath",
    "FeedForward",
    "GroupedQueryAttention",
    "LayerScale",
    "MultiHeadAttention",
    "MultiQueryAttention",
    "PatchEmbedding",
    "PositionEmbedding",
    "PositionalEncoding",
    "RotaryPositionalEmbedding",
    "TokenEmbedding",
    "TransformerBlock",
]
