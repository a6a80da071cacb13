"""The files of tokenizers: their names, and where they lie."""

from __future__ import annotations

from pathlib import Path

from keras_tx.hub import locate_files
from keras_tx.text.core.classes import class_name

WHOLE = "tokenizer.json"
CHARACTERS = "char_tokenizer.json"
WORDPIECE_VOCABULARY = "vocab.txt"
FAIRSEQ_MODEL = "sentencepiece.bpe.model"
SENTENCEPIECE_MODELS = ("spiece.model", "tokenizer.model", FAIRSEQ_MODEL)
"""The names of models of the SentencePiece library."""

_ALTERNATIVES = (
    (WHOLE,),
    (CHARACTERS,),
    ("vocab.json", "merges.txt"),
    (WORDPIECE_VOCABULARY,),
    *((name,) for name in SENTENCEPIECE_MODELS),
)
"""The files that hold a vocabulary."""

_BESIDE = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")

TOKENIZER_FILES = (*(name for names in _ALTERNATIVES for name in names), *_BESIDE)
"""The names of all files of tokenizers."""


def has_tokenizer(directory: str | Path) -> bool:
    """Whether there is a tokenizer in a directory, of one of our kinds or of another."""
    named = class_name(Path(directory)) == "ByT5Tokenizer"  # which has no vocabulary
    return named or any((Path(directory) / names[0]).exists() for names in _ALTERNATIVES)


def locate_tokenizer(
    source: str | Path,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> Path:
    """The directory of a tokenizer. If it is on the hub, its files are downloaded, and no weights.

    Args:
        source: a directory, or a hub id such as "openai-community/gpt2".
        revision, cache_dir, local_files_only, token: as of `locate_files`.

    Raises:
        FileNotFoundError: if there is neither such a directory nor, within reach, such a tokenizer on the hub.
    """
    return locate_files(
        source,
        (*_ALTERNATIVES, _BESIDE[:1]),
        (*_BESIDE, "config.json"),  # which says what kind of model a vocabulary is of
        what="tokenizer",
        revision=revision,
        cache_dir=cache_dir,
        local_files_only=local_files_only,
        token=token,
    )
