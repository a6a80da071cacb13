"""The tokenizer that lies in a directory, whichever it is."""

from __future__ import annotations

from pathlib import Path

from keras_tx.text.base import Tokenizer
from keras_tx.text.bpe import BPETokenizer
from keras_tx.text.char import FILE_NAME, CharTokenizer


def load_tokenizer(directory: str | Path) -> Tokenizer:
    """Reads a tokenizer that we or Transformers saved.

    Raises:
        ValueError: if there is none, or none that we have.
    """
    if (Path(directory) / FILE_NAME).exists():
        return CharTokenizer.from_pretrained(directory)
    return BPETokenizer.from_pretrained(directory)
