"""The files of a WordPiece tokenizer as Transformers and `tokenizers` read and write them."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Protocol

from keras_tx.files import whole_file
from keras_tx.text.core import files as tokenizer_files
from keras_tx.text.core.files import JSON, content_of
from keras_tx.text.core.locate import WORDPIECE_VOCABULARY
from keras_tx.text.core.post_processor import read_template
from keras_tx.text.core.template import BERT, Template
from keras_tx.text.graph.longest_match import PREFIX
from keras_tx.text.graph.unicode import BertNormalization

_SETTINGS = {
    "do_lower_case": "lowercase",
    "tokenize_chinese_chars": "handle_chinese_chars",
    "strip_accents": "strip_accents",
}
"""The options of the normalization by their names in `tokenizer_config.json`."""

_ROLES = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}


def read(directory: Path) -> dict[str, Any]:
    """The arguments of `WordPieceTokenizer` from a directory.

    What `tokenizer_config.json` says of the normalization counts, as it does for Transformers.

    Raises:
        ValueError: if files are missing or damaged, or of a tokenizer that we do not have.
    """
    arguments, settings = tokenizer_files.read(directory, parse, _read_plain, _ROLES)
    said = {option: settings[setting] for setting, option in _SETTINGS.items() if setting in settings}
    if str(settings.get("tokenizer_class")).startswith("DistilBert"):  # which has no token types
        arguments.setdefault("model_input_names", ("input_ids", "attention_mask"))
    return {**arguments, **said}


def parse(content: JSON) -> dict[str, Any]:
    """The arguments of `WordPieceTokenizer` from what `tokenizer.json` holds.

    Raises:
        ValueError: for whatever would give other ids here.
    """
    model, split, normalizer = (content.get(part) or {} for part in ("model", "pre_tokenizer", "normalizer"))
    _require(model.get("type", "WordPiece") == "WordPiece" and "merges" not in model, "model", model.get("type"))
    prefix = model.get("continuing_subword_prefix", PREFIX)
    _require(prefix == PREFIX, "model's `continuing_subword_prefix`", prefix)
    _require(normalizer.get("type") == "BertNormalizer", "normalizer", normalizer)
    _require(split.get("type") == "BertPreTokenizer", "pre-tokenizer", split)
    return {
        "vocab": model["vocab"],
        "unk_token": model["unk_token"],
        "max_input_chars_per_word": model.get("max_input_chars_per_word", 100),
        **{field.name: normalizer[field.name] for field in fields(BertNormalization)},
        "added_tokens": tokenizer_files.read_added_tokens(content),
        "template": read_template(content.get("post_processor")),
    }


def _read_plain(directory: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Reads `vocab.txt`, with the defaults that Transformers has."""
    path = directory / WORDPIECE_VOCABULARY
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except FileNotFoundError:
        raise ValueError(
            f"{directory} has neither tokenizer.json nor {WORDPIECE_VOCABULARY}: it holds no WordPiece tokenizer."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {path}: {error}.") from None
    vocab = {token: i for i, token in enumerate(lines)}
    for role, default in _ROLES.items():
        settings.setdefault(role, default)
    roles = {role: content_of(settings[role]) for role in _ROLES}
    for token in roles.values():
        if token not in vocab:
            raise ValueError(f"{path} has no token {token!r}: it is not a vocabulary of BERT's.")
    special = {"[CLS]": vocab[roles["cls_token"]], "[SEP]": vocab[roles["sep_token"]]}
    return {"vocab": vocab, "unk_token": roles["unk_token"], "template": Template.parse(*BERT, special)}


class WordPiece(tokenizer_files.Written, Protocol):
    """The attributes of a WordPiece tokenizer that its files hold."""

    unk_token: str
    max_input_chars_per_word: int
    normalization: BertNormalization


def write(tokenizer: WordPiece, directory: Path) -> None:
    """Writes a tokenizer for Transformers and for `read`."""
    with whole_file(directory / WORDPIECE_VOCABULARY) as partial:
        tokens = sorted(tokenizer.vocab, key=tokenizer.vocab.__getitem__)
        partial.write_text("\n".join(tokens) + "\n", encoding="utf-8")
    normalization = asdict(tokenizer.normalization)
    config = {setting: normalization[option] for setting, option in _SETTINGS.items()}
    config = {"tokenizer_class": "BertTokenizer", **config}
    tokenizer_files.write(tokenizer, directory, compose(tokenizer), config)


def compose(tokenizer: WordPiece) -> dict[str, Any]:
    """Returns the content of `tokenizer.json`."""
    model = {
        "type": "WordPiece",
        "unk_token": tokenizer.unk_token,
        "continuing_subword_prefix": PREFIX,
        "max_input_chars_per_word": tokenizer.max_input_chars_per_word,
        "vocab": tokenizer.vocab,
    }
    return tokenizer_files.compose(
        tokenizer,
        normalizer={"type": "BertNormalizer", **asdict(tokenizer.normalization)},
        pre_tokenizer={"type": "BertPreTokenizer"},
        decoder={"type": "WordPiece", "prefix": PREFIX, "cleanup": True},
        model=model,
    )


def _require(condition: object, what: str, value: object) -> None:
    if not condition:
        raise ValueError(f"the {what} {value!r} is not BERT's: it would give other ids than it should.")
