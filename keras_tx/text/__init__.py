"""Tokenizers that live in the graph, and texts to train on."""

from keras_tx.text.auto import load_tokenizer
from keras_tx.text.bpe.tokenizer import BPETokenizer
from keras_tx.text.char import CharTokenizer
from keras_tx.text.core.base import Tokenizer
from keras_tx.text.core.locate import TOKENIZER_FILES, has_tokenizer
from keras_tx.text.core.template import Template
from keras_tx.text.corpus import dataset_text, default_text, read_text
from keras_tx.text.graph.added_tokens import AddedToken
from keras_tx.text.sentencepiece.tokenizer import SentencePieceTokenizer
from keras_tx.text.wordpiece.tokenizer import WordPieceTokenizer

__all__ = [
    "TOKENIZER_FILES",
    "AddedToken",
    "BPETokenizer",
    "CharTokenizer",
    "SentencePieceTokenizer",
    "Template",
    "Tokenizer",
    "WordPieceTokenizer",
    "dataset_text",
    "default_text",
    "has_tokenizer",
    "load_tokenizer",
    "read_text",
]
