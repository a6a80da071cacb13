"""Tokenizers that live in the graph, and texts to train on."""

from keras_tx.text.char import CharTokenizer
from keras_tx.text.corpus import dataset_text, default_text, read_text

__all__ = ["CharTokenizer", "dataset_text", "default_text", "read_text"]
