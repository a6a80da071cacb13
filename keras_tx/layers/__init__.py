"""Keras layers: attention, embeddings, feed-forward networks, blocks."""

from keras_tx.layers.attention.block_sparse import BlockSparseAttention
from keras_tx.layers.attention.cross import CrossAttention
from keras_tx.layers.attention.disentangled import DisentangledAttention
from keras_tx.layers.attention.grouped_query import GroupedQueryAttention, MultiQueryAttention
from keras_tx.layers.attention.latent import LatentAttention, LatentCache
from keras_tx.layers.attention.linear import LinearAttention
from keras_tx.layers.attention.longformer import LongformerAttention
from keras_tx.layers.attention.low_rank import LinformerAttention, NystromAttention
from keras_tx.layers.attention.multi_head import MultiHeadAttention
from keras_tx.layers.attention.pooling import AttentionPooling
from keras_tx.layers.attention.relative import RelativePositionAttention, TransformerXLAttention
from keras_tx.layers.attention.relative_bias import BucketedPositionBias
from keras_tx.layers.attention.sliding_window import SlidingWindowAttention
from keras_tx.layers.attention.variants import AttentionConfig
from keras_tx.layers.blocks.block import BlockCache, TransformerBlock
from keras_tx.layers.blocks.stack import TransformerDecoder, TransformerEncoder
from keras_tx.layers.core.dropout import DropPath
from keras_tx.layers.core.embeddings import (
    PositionalEncoding,
    PositionEmbedding,
    RotaryPositionalEmbedding,
    TokenEmbedding,
)
from keras_tx.layers.core.feedforward import FeedForward
from keras_tx.layers.core.gated import GEGLU, ReGLU, SwiGLU
from keras_tx.layers.core.mixture_of_experts import Experts, MixtureOfExperts
from keras_tx.layers.core.scale import LayerScale
from keras_tx.layers.core.token_pooling import TokenPooling
from keras_tx.layers.image.feature_pyramid import PyramidDecoder, SimpleFeaturePyramid
from keras_tx.layers.image.patch_merging import PatchMerging
from keras_tx.layers.image.patches import PatchEmbedding
from keras_tx.layers.image.query_decoder import QueryDecoder
from keras_tx.layers.image.swin_block import SwinBlock
from keras_tx.layers.image.window_attention import WindowAttention

__all__ = [
    "GEGLU",
    "AttentionConfig",
    "AttentionPooling",
    "BlockCache",
    "BlockSparseAttention",
    "BucketedPositionBias",
    "CrossAttention",
    "DisentangledAttention",
    "DropPath",
    "Experts",
    "FeedForward",
    "GroupedQueryAttention",
    "LatentAttention",
    "LatentCache",
    "LayerScale",
    "LinearAttention",
    "LinformerAttention",
    "LongformerAttention",
    "MixtureOfExperts",
    "MultiHeadAttention",
    "MultiQueryAttention",
    "NystromAttention",
    "PatchEmbedding",
    "PatchMerging",
    "PositionEmbedding",
    "PositionalEncoding",
    "PyramidDecoder",
    "QueryDecoder",
    "ReGLU",
    "RelativePositionAttention",
    "RotaryPositionalEmbedding",
    "SimpleFeaturePyramid",
    "SlidingWindowAttention",
    "SwiGLU",
    "SwinBlock",
    "TokenEmbedding",
    "TokenPooling",
    "TransformerBlock",
    "TransformerDecoder",
    "TransformerEncoder",
    "TransformerXLAttention",
    "WindowAttention",
]
