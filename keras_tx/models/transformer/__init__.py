"""The encoder-decoder of "Attention Is All You Need"."""

from keras_tx.models.transformer.backbone import TransformerBackbone
from keras_tx.models.transformer.config import TransformerConfig
from keras_tx.models.transformer.model import Transformer
from keras_tx.models.transformer.variants import transformer_base, transformer_big

__all__ = ["Transformer", "TransformerBackbone", "TransformerConfig", "transformer_base", "transformer_big"]
