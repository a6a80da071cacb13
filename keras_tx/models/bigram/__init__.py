"""The bigram model."""

from keras_tx.models.bigram.model import BigramConfig, BigramModel

__all__ = ["BigramConfig", "BigramModel"]
