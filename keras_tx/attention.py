"""The variants of self-attention that a model's `attention=` takes: `attention.SlidingWindow(window_size=128)`."""

from keras_tx.layers.attention.variants import (
    AttentionConfig,
    BlockSparse,
    Disentangled,
    GroupedQuery,
    Latent,
    Linear,
    Linformer,
    Longformer,
    MultiHead,
    MultiQuery,
    Nystrom,
    RelativePosition,
    SlidingWindow,
    TransformerXL,
    named,
)

__all__ = [
    "AttentionConfig",
    "BlockSparse",
    "Disentangled",
    "GroupedQuery",
    "Latent",
    "Linear",
    "Linformer",
    "Longformer",
    "MultiHead",
    "MultiQuery",
    "Nystrom",
    "RelativePosition",
    "SlidingWindow",
    "TransformerXL",
    "named",
]
