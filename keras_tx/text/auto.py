"""The tokenizer that lies in a directory, whichever it is."""

from __future__ import annotations

from pathlib import Path

from keras_tx.files import read_json
from keras_tx.text.bpe.tokenizer import BPETokenizer
from keras_tx.text.char import FILE_NAME, CharTokenizer
from keras_tx.text.core.base import Tokenizer
from keras_tx.text.sentencepiece import files as sentencepiece_files
from keras_tx.text.sentencepiece.tokenizer import SentencePieceTokenizer
from keras_tx.text.wordpiece import files as wordpiece_files
from keras_tx.text.wordpiece.tokenizer import WordPieceTokenizer

_VOCABULARIES = ("vocab.json", "tokenizer.json", wordpiece_files.FILE_NAME, *sentencepiece_files.MODEL_NAMES, FILE_NAME)
_BESIDE = ("merges.txt", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
TOKENIZER_FILES = (*_VOCABULARIES, *_BESIDE)
"""All that a tokenizer's files may be called."""


def has_tokenizer(directory: str | Path) -> bool:
    """Whether a tokenizer lies in a directory, of one of our kinds or of another."""
    return any((Path(directory) / name).exists() for name in _VOCABULARIES)


def load_tokenizer(directory: str | Path) -> Tokenizer:
    """Reads a tokenizer that we or Transformers saved.

    Raises:
        ValueError: if there is none, or none that we have.
    """
    if (Path(directory) / FILE_NAME).exists():
        return CharTokenizer.from_pretrained(directory)
    if _is_wordpiece(Path(directory)):
        return WordPieceTokenizer.from_pretrained(directory)
    if sentencepiece_files.is_sentencepiece(Path(directory)):
        return SentencePieceTokenizer.from_pretrained(directory)
    return BPETokenizer.from_pretrained(directory)


def _is_wordpiece(directory: Path) -> bool:
    if not (path := directory / "tokenizer.json").exists():
        return (directory / wordpiece_files.FILE_NAME).exists()
    content = read_json(path)
    model = content.get("model") if isinstance(content, dict) else None
    return isinstance(model, dict) and model.get("type") == "WordPiece"
