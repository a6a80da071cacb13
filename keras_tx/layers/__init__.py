"""Keras layers: attention, embeddings, feed-forward networks, blocks."""

from keras_tx.layers.attention import (
    CrossAttention,
    GroupedQueryAttention,
    MultiHeadAttention,
    MultiQueryAttention,
)
from keras_tx.layers.attention_config import (
    AttentionConfig,
    BlockSparse,
    GroupedQuery,
    Latent,
    Linear,
    Linformer,
    MultiHead,
    MultiQuery,
    Nystrom,
    RelativePosition,
    SlidingWindow,
    TransformerXL,
)
from keras_tx.layers.attention_pooling import AttentionPooling
from keras_tx.layers.block import BlockCache, TransformerBlock
from keras_tx.layers.block_sparse import BlockSparseAttention
from keras_tx.layers.dropout import DropPath
from keras_tx.layers.embeddings import (
    PositionalEncoding,
    PositionEmbedding,
    RotaryPositionalEmbedding,
    TokenEmbedding,
)
from keras_tx.layers.feature_pyramid import PyramidDecoder, SimpleFeaturePyramid
from keras_tx.layers.feedforward import GEGLU, FeedForward, ReGLU, SwiGLU
from keras_tx.layers.latent_attention import LatentAttention, LatentCache
from keras_tx.layers.linear_attention import LinearAttention
from keras_tx.layers.low_rank import LinformerAttention, NystromAttention
from keras_tx.layers.mixture_of_experts import Experts, MixtureOfExperts
from keras_tx.layers.patch_merging import PatchMerging
from keras_tx.layers.patches import PatchEmbedding
from keras_tx.layers.query_decoder import QueryDecoder
from keras_tx.layers.relative_attention import RelativePositionAttention, TransformerXLAttention
from keras_tx.layers.relative_bias import BucketedPositionBias
from keras_tx.layers.scale import LayerScale
from keras_tx.layers.sliding_window import SlidingWindowAttention
from keras_tx.layers.stack import TransformerDecoder, TransformerEncoder
from keras_tx.layers.swin_block import SwinBlock
from keras_tx.layers.window_attention import WindowAttention

__all__ = [
    "GEGLU",
    "AttentionConfig",
    "AttentionPooling",
    "BlockCache",
    "BlockSparse",
    "BlockSparseAttention",
    "BucketedPositionBias",
    "CrossAttention",
    "DropPath",
    "Experts",
    "FeedForward",
    "GroupedQuery",
    "GroupedQueryAttention",
    "Latent",
    "LatentAttention",
    "LatentCache",
    "LayerScale",
    "Linear",
    "LinearAttention",
    "Linformer",
    "LinformerAttention",
    "MixtureOfExperts",
    "MultiHead",
    "MultiHeadAttention",
    "MultiQuery",
    "MultiQueryAttention",
    "Nystrom",
    "NystromAttention",
    "PatchEmbedding",
    "PatchMerging",
    "PositionEmbedding",
    "PositionalEncoding",
    "PyramidDecoder",
    "QueryDecoder",
    "ReGLU",
    "RelativePosition",
    "RelativePositionAttention",
    "RotaryPositionalEmbedding",
    "SimpleFeaturePyramid",
    "SlidingWindow",
    "SlidingWindowAttention",
    "SwiGLU",
    "SwinBlock",
    "TokenEmbedding",
    "TransformerBlock",
    "TransformerDecoder",
    "TransformerEncoder",
    "TransformerXL",
    "TransformerXLAttention",
    "WindowAttention",
]
