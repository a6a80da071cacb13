"""The tokenizer in a directory or on the hub, whichever kind it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keras_tx.files import read_json
from keras_tx.text.bpe.tokenizer import BPETokenizer
from keras_tx.text.char import CharTokenizer
from keras_tx.text.core.base import Tokenizer
from keras_tx.text.core.locate import CHARACTERS, WHOLE, WORDPIECE_VOCABULARY, locate_tokenizer
from keras_tx.text.keras_hub import is_preset, locate_vocabulary, read_preset
from keras_tx.text.sentencepiece.files import is_sentencepiece
from keras_tx.text.sentencepiece.tokenizer import SentencePieceTokenizer
from keras_tx.text.wordpiece.tokenizer import WordPieceTokenizer


def load_tokenizer(
    source: str | Path,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> Tokenizer:
    """Reads a tokenizer that we, Transformers or KerasHub (in a preset) saved, of the kind that its files say.

    Args:
        source: a directory, or a hub id such as "openai-community/gpt2", of which the tokenizer alone is downloaded.
            With KerasHub installed also one of its presets, as `load_pretrained` takes it.
        revision, cache_dir, local_files_only, token: as `Tokenizer.from_pretrained` takes them.

    Raises:
        FileNotFoundError: if there is neither such a directory nor, within reach, such a tokenizer on the hub.
        ValueError: if there is no tokenizer in the directory, or none that we have.
    """
    options: dict[str, Any] = {
        "revision": revision,
        "cache_dir": cache_dir,
        "local_files_only": local_files_only,
        "token": token,
    }
    directory = locate_tokenizer(source, **options)
    if not is_preset(directory):
        return _class(directory).from_directory(directory)
    locate_vocabulary(source, directory, **options)
    return read_preset(directory)


def _class(directory: Path) -> type[Tokenizer]:
    if (directory / CHARACTERS).exists():
        return CharTokenizer
    if _is_wordpiece(directory):
        return WordPieceTokenizer
    return SentencePieceTokenizer if is_sentencepiece(directory) else BPETokenizer


def _is_wordpiece(directory: Path) -> bool:
    if not (path := directory / WHOLE).exists():
        return (directory / WORDPIECE_VOCABULARY).exists()
    content = read_json(path)
    model = content.get("model") if isinstance(content, dict) else None
    return isinstance(model, dict) and model.get("type") == "WordPiece"
