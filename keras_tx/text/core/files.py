"""The files that all kinds of tokenizers have, as Transformers and `tokenizers` read and write them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from keras_tx.files import read_json, write_json
from keras_tx.text.core.post_processor import write_template
from keras_tx.text.core.rows import Side
from keras_tx.text.core.template import Template
from keras_tx.text.graph.added_tokens import AddedToken

ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""The roles of special tokens, in the order in which tokens that are not in the vocabulary get ids."""

NO_MAX_LENGTH = 10**9
"""Transformers writes a larger number where there is no `model_max_length`."""

JSON = Mapping[str, Any]


class Written(Protocol):
    """The attributes of a tokenizer that the files of every kind hold."""

    vocab: dict[str, int]
    added_tokens: tuple[AddedToken, ...]
    special_tokens: dict[str, str]
    template: Template
    model_max_length: int | None
    padding_side: Side
    truncation_side: Side
    model_input_names: tuple[str, ...]

    @property
    def tokens(self) -> list[str]: ...


# === Reading ===


def read(
    directory: Path,
    parse: Callable[[JSON], dict[str, Any]],
    read_plain: Callable[[Path, dict[str, Any]], dict[str, Any]],
    roles: Mapping[str, str],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments of a tokenizer from a directory, and the settings that lie there.

    Args:
        directory: to read.
        parse: gives the arguments from what `tokenizer.json` holds.
        read_plain: gives them from the vocabulary's own files, and completes the settings with defaults.
        roles: special tokens that `tokenizer.json` need not name, by role. Those that it does not have are left out.

    Raises:
        ValueError: if files are missing or damaged, or of a tokenizer that we do not have.
    """
    settings = read_object(directory / "special_tokens_map.json", {})
    settings |= read_object(directory / "tokenizer_config.json", {})
    path = directory / "tokenizer.json"
    if path.exists():
        try:
            arguments = parse(read_object(path))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            reason = f"{error} is missing." if isinstance(error, KeyError) else error
            raise ValueError(f"{path}: {reason}") from error
        added = {token.content for token in arguments["added_tokens"]}
        settings = {role: token for role, token in roles.items() if token in added} | settings
    else:
        arguments = read_plain(directory, settings)
    return _with_settings(arguments, settings, read_object(directory / "added_tokens.json", {})), settings


def _with_settings(arguments: dict[str, Any], settings: JSON, numbered: Mapping[str, int]) -> dict[str, Any]:
    """Adds what lies beside the vocabulary: roles, further tokens, lengths and sides."""
    tokens = {token.content: token for token in arguments.get("added_tokens", ())}
    vocab = arguments["vocab"]
    for i, token in sorted((settings.get("added_tokens_decoder") or {}).items(), key=lambda item: int(item[0])):
        tokens.setdefault(token["content"], read_added_token(int(i), token))
    for content, i in numbered.items():
        tokens.setdefault(content, AddedToken(i, content, special=False, normalized=True))
    roles = {role: settings[role] for role in ROLES if settings.get(role)}
    extra = settings.get("additional_special_tokens") or settings.get("extra_special_tokens") or []
    for token in [*roles.values(), *(extra if isinstance(extra, list) else extra.values())]:
        if (content := content_of(token)) not in tokens:
            last = max([*vocab.values(), *(token.id for token in tokens.values())], default=-1)
            tokens[content] = read_added_token(vocab.get(content, last + 1), token)
    length = settings.get("model_max_length")
    options = ("padding_side", "truncation_side", "model_input_names")
    return {
        **arguments,
        **{option: settings[option] for option in options if option in settings},
        "added_tokens": list(tokens.values()),
        "special_tokens": {role: content_of(token) for role, token in roles.items()},
        "model_max_length": int(length) if length and length < NO_MAX_LENGTH else None,
    }


def read_object(path: Path, default: dict[str, Any] | None = None) -> dict[str, Any]:
    """A JSON object, or what there is in place of a missing file."""
    if default is not None and not path.exists():
        return default
    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object; got {json.dumps(content)[:40]}.")
    return content


def read_added_token(i: int, token: str | JSON) -> AddedToken:
    """An added token as it is written, by its text alone or with its flags."""
    if isinstance(token, str):
        return AddedToken(i, token)
    if token.get("single_word"):
        raise ValueError(f"the added token {token['content']!r} is found as a `single_word`, which is not supported.")
    flags = {flag: bool(token[flag]) for flag in ("special", "lstrip", "rstrip", "normalized") if flag in token}
    return AddedToken(i, token["content"], **flags)


def read_added_tokens(content: JSON) -> list[AddedToken]:
    """Reads the added tokens in `tokenizer.json`."""
    return [read_added_token(token["id"], token) for token in content.get("added_tokens") or ()]


def content_of(token: str | JSON) -> str:
    """The text of a token as it is written."""
    return token if isinstance(token, str) else token["content"]


# === Writing ===


def write(tokenizer: Written, directory: Path, content: JSON, config: JSON) -> None:
    """Writes what Transformers reads, and `read`, but for the vocabulary's own files.

    Args:
        tokenizer: to write.
        directory: to write into.
        content: of `tokenizer.json`: the parts that are the tokenizer's own.
        config: of `tokenizer_config.json`: likewise.
    """
    added = [(token.id, _written(token)) for token in tokenizer.added_tokens]
    write_json(directory / "special_tokens_map.json", tokenizer.special_tokens)
    write_json(
        directory / "tokenizer_config.json",
        {
            "model_max_length": tokenizer.model_max_length or int(1e30),
            "padding_side": tokenizer.padding_side,
            "truncation_side": tokenizer.truncation_side,
            "model_input_names": list(tokenizer.model_input_names),
            "clean_up_tokenization_spaces": False,
            "added_tokens_decoder": {str(i): token for i, token in added},
            **config,
            **tokenizer.special_tokens,
        },
    )
    write_json(directory / "tokenizer.json", content)


def compose(tokenizer: Written, **parts: Any) -> dict[str, Any]:
    """The content of `tokenizer.json`.

    Args:
        tokenizer: to write.
        **parts: `normalizer`, `pre_tokenizer`, `decoder` and `model`; and `post_processor`, unless it is the template.
    """
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": token.id, **_written(token)} for token in tokenizer.added_tokens],
        "post_processor": write_template(tokenizer.template, tokenizer.tokens),
        **parts,
    }


def _written(token: AddedToken) -> dict[str, Any]:
    flags = ("lstrip", "rstrip", "normalized", "special")
    return {"content": token.content, "single_word": False, **{flag: getattr(token, flag) for flag in flags}}
