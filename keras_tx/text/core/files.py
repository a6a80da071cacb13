"""The files that all kinds of tokenizers have, as Transformers and `tokenizers` read and write them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from keras_tx.files import read_json, write_json
from keras_tx.text.core.classes import GENERIC, TokenizerClass, class_name, class_template, refuse_unknown
from keras_tx.text.core.post_processor import write_template
from keras_tx.text.core.rows import Side
from keras_tx.text.core.template import TEXTS, Piece, Template
from keras_tx.text.core.vocabulary import ROLES
from keras_tx.text.graph.added_tokens import AddedToken

NO_MAX_LENGTH = 10**9
"""Transformers writes a larger number where there is no `model_max_length`."""

_FLAGS = ("single_word", "lstrip", "rstrip", "normalized")

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
    read_plain: Callable[[Path, JSON, str | None], tuple[dict[str, Any], str]],
    classes: Mapping[str, TokenizerClass],
    likely: Callable[[JSON], str | None],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments of a tokenizer from a directory, and the settings that lie there.

    What a file says counts before the defaults of the class. Those hold wherever the vocabulary has the token.

    Args:
        directory: to read.
        parse: gives the arguments from what `tokenizer.json` holds.
        read_plain: gives them from the vocabulary's own files and the settings, and the class; takes the class's name.
        classes: Transformers' classes of this kind, by name.
        likely: gives the class that the arguments are likely of, for directories that do not name it.

    Raises:
        ValueError: if files are missing or damaged, or of a tokenizer that we do not have.
    """
    settings = read_object(directory / "special_tokens_map.json", {})
    settings |= read_object(directory / "tokenizer_config.json", {})
    path, name = directory / "tokenizer.json", class_name(directory)
    refuse_unknown(directory, name, classes, plain=not path.exists())
    if path.exists():
        try:
            arguments = parse(read_object(path))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            reason = f"{error} is missing." if isinstance(error, KeyError) else error
            raise ValueError(f"{path}: {reason}") from error
        name = name if name in classes or name in GENERIC else likely(arguments)
        kind = classes.get(name or "", TokenizerClass(roles={}))
        defaults = {role: token for role, token in kind.roles.items() if token in _ids(arguments)}
    else:
        arguments, name = read_plain(directory, settings, name)
        kind = classes[name]
        defaults = dict(kind.roles)
    settings = {**defaults, **settings}
    if kind.mask_takes_blanks and isinstance(settings.get("mask_token"), str):
        settings["mask_token"] = {"content": settings["mask_token"], "lstrip": True}
    if kind.model_input_names:
        settings.setdefault("model_input_names", kind.model_input_names)
    settings.setdefault("padding_side", kind.padding_side)
    if kind.template and not path.exists():
        roles = {role: content_of(settings[role]) for role in kind.roles if settings.get(role)}
        arguments["template"] = class_template(kind, roles, _ids(arguments), directory)
    arguments = _with_settings(arguments, settings, read_object(directory / "added_tokens.json", {}))
    asked = {key: settings[key] for key in ("add_bos_token", "add_eos_token") if key in settings}
    if not kind.template and (any(asked.values()) or (asked and kind.add_bos_token) or not path.exists()):
        begins = settings.get("add_bos_token", kind.add_bos_token)
        arguments["template"] = _begun_and_ended(arguments, begins, settings.get("add_eos_token", False))
    return arguments, settings


def _ids(arguments: JSON) -> dict[str, int]:
    """The ids of all tokens."""
    return {**arguments["vocab"], **{token.content: token.id for token in arguments.get("added_tokens", ())}}


def _begun_and_ended(arguments: JSON, begins: bool, ends: bool) -> Template:
    """The template of texts that each begin with the `bos_token`, or end with the `eos_token`, if there is one."""
    ids, roles = _ids(arguments), arguments["special_tokens"]
    bos, eos = (
        [ids[roles[role]]] if asked and role in roles else []
        for role, asked in (("bos_token", begins), ("eos_token", ends))
    )
    first, second = (
        [*(Piece(i, type_id) for i in bos), Piece(text, type_id), *(Piece(i, type_id) for i in eos)]
        for type_id, text in enumerate(TEXTS)
    )
    return Template(tuple(first), (*first, *second))


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
    flags = {flag: bool(token[flag]) for flag in ("special", *_FLAGS) if flag in token}
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
    return {"content": token.content, **{flag: getattr(token, flag) for flag in (*_FLAGS, "special")}}
