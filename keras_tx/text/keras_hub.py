"""The tokenizers of KerasHub's presets: the vocabularies that Transformers has, too, under names of their own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_tx.files import read_json, write_json
from keras_tx.hub import locate_files
from keras_tx.text.bpe.tokenizer import BPETokenizer
from keras_tx.text.core.base import Tokenizer
from keras_tx.text.core.files import JSON
from keras_tx.text.core.locate import WHOLE
from keras_tx.text.sentencepiece.tokenizer import SentencePieceTokenizer
from keras_tx.text.wordpiece.tokenizer import WordPieceTokenizer

ASSETS = Path("assets", "tokenizer")


@dataclass(frozen=True)
class _Kind:
    """One of KerasHub's tokenizers.

    Attributes:
        cls: our class.
        files: what Transformers calls its files.
        required: arguments that must have this value, as others give ids that ours does not.
        settings: what `tokenizer_config.json` calls its arguments.
        fixed: what it would say besides.
    """

    cls: type[Tokenizer]
    files: Mapping[str, str]
    required: Mapping[str, Any]
    settings: Mapping[str, str]
    fixed: Mapping[str, Any]


_KINDS = {
    "BertTokenizer": _Kind(
        WordPieceTokenizer,
        {"vocabulary.txt": "vocab.txt"},
        {"split": True, "suffix_indicator": "##", "oov_token": "[UNK]"},
        {"lowercase": "do_lower_case", "strip_accents": "strip_accents"},
        {},
    ),
    "GPT2Tokenizer": _Kind(
        BPETokenizer,
        {"vocabulary.json": "vocab.json", "merges.txt": "merges.txt"},
        {},
        {"add_prefix_space": "add_prefix_space"},
        {"tokenizer_class": "GPT2Tokenizer"},
    ),
    "T5Tokenizer": _Kind(SentencePieceTokenizer, {"vocabulary.spm": "spiece.model"}, {}, {}, {"extra_ids": 0}),
}


def is_preset(directory: Path) -> bool:
    """Whether a directory holds a preset's tokenizer."""
    if not (directory / WHOLE).exists():
        return False
    content = read_json(directory / WHOLE)
    return isinstance(content, dict) and "registered_name" in content


def locate_vocabulary(source: str | Path, directory: Path, **options: Any) -> None:
    """Downloads the vocabulary of a preset's tokenizer, where it is not a directory.

    Args:
        source: the preset, as `locate_tokenizer` takes it.
        directory: what that gave.
        options: those of `locate_tokenizer`.
    """
    files = [(ASSETS / name).as_posix() for name in _kind(directory).files]
    locate_files(source, [files], what="vocabulary of the tokenizer", **options)


def read_preset(directory: Path) -> Tokenizer:
    """The tokenizer of a preset.

    It gives KerasHub's ids, with special tokens around them as the model's preprocessor would put them there.

    Raises:
        ValueError: if it is none that we have, or its vocabulary is not there.
    """
    kind, arguments = _kind(directory), read_json(directory / WHOLE)["config"]
    for argument, value in kind.required.items():
        if arguments.get(argument, value) != value:
            raise ValueError(
                f"{directory}: {argument}={arguments[argument]!r} of the tokenizer; only {value!r} is supported."
            )
    return _with_files(kind, directory / ASSETS, arguments)


def _kind(directory: Path) -> _Kind:
    name = str(read_json(directory / WHOLE)["registered_name"]).rpartition(">")[2]
    if name not in _KINDS:
        raise ValueError(f"{directory} holds KerasHub's {name}; known are {', '.join(_KINDS)}.")
    return _KINDS[name]


def _with_files(kind: _Kind, assets: Path, arguments: JSON) -> Tokenizer:
    """The tokenizer that Transformers' files of this content would be."""
    said = {entry: arguments[name] for name, entry in kind.settings.items() if name in arguments}
    with tempfile.TemporaryDirectory() as temporary:
        for own, name in kind.files.items():
            if not (assets / own).is_file():
                raise ValueError(f"{assets} lacks {own}, the tokenizer's vocabulary.")
            shutil.copyfile(assets / own, Path(temporary, name))
        write_json(Path(temporary, "tokenizer_config.json"), {**said, **kind.fixed})
        return kind.cls.from_directory(Path(temporary))
