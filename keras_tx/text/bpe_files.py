"""The files of a BPE tokenizer as Transformers and `tokenizers` read and write them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_tx.files import read_json, whole_file, write_json
from keras_tx.text.added_tokens import AddedToken

if TYPE_CHECKING:
    from keras_tx.text.bpe import BPETokenizer

ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""In the order in which those that are not in the vocabulary get ids."""

WORD_END = "</w>"
"""GPT-1's suffix of what ends a word."""

NO_MAX_LENGTH = 10**9
"""Transformers writes a larger number where there is no `model_max_length`."""

_GPT1 = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": True}


def read(directory: Path) -> dict[str, Any]:
    """The arguments of `BPETokenizer` from a directory.

    Raises:
        ValueError: if files are missing or damaged, or of a tokenizer that we do not have.
    """
    if not directory.is_dir():
        raise ValueError(f"{directory} is not a directory.")
    settings = _object(directory / "special_tokens_map.json", {}) | _object(directory / "tokenizer_config.json", {})
    if (directory / "tokenizer.json").exists():
        try:
            arguments = parse(_object(directory / "tokenizer.json"))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{directory / 'tokenizer.json'}: {_reason(error)}") from error
    else:
        arguments = _read_plain(directory, settings)
    return _with_settings(arguments, settings, _object(directory / "added_tokens.json", {}))


def parse(content: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `BPETokenizer` from what `tokenizer.json` holds.

    Raises:
        ValueError: for whatever would give other ids here.
    """
    model, split, normalizer = (content.get(part) or {} for part in ("model", "pre_tokenizer", "normalizer"))
    _require(model.get("type", "BPE") == "BPE" and "merges" in model, "model", model.get("type"))
    for option in ("dropout", "continuing_subword_prefix", "fuse_unk", "byte_fallback", "ignore_merges"):
        _require(not model.get(option), f"model's `{option}`", model.get(option))
    suffix = model.get("end_of_word_suffix") or ""
    byte_level = split.get("type") == "ByteLevel"
    if byte_level:
        _require(split.get("use_regex", True), "pre-tokenizer", split)
        _require(not normalizer, "normalizer", normalizer)
        _require(not suffix, "model's `end_of_word_suffix`", suffix)
    else:
        _require(split.get("type") == "BertPreTokenizer", "pre-tokenizer", split)
        accents = normalizer.get("strip_accents")
        _require({**normalizer, "strip_accents": None} == {**_GPT1, "strip_accents": None}, "normalizer", normalizer)
        _require(accents in (None, True), "normalizer", normalizer)
        _require(suffix == WORD_END, "model's `end_of_word_suffix`", suffix)
    added = [_added_token(token["id"], token) for token in content.get("added_tokens") or ()]
    prefix, suffix_ids = _template(content.get("post_processor") or {})
    return {
        "vocab": model["vocab"],
        "merges": [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]],
        "byte_level": byte_level,
        "unk_token": model.get("unk_token"),
        "add_prefix_space": split.get("add_prefix_space", False),
        "added_tokens": added,
        "prefix": prefix,
        "suffix": suffix_ids,
    }


def _read_plain(directory: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """From `vocab.json` and `merges.txt`, with the defaults that Transformers has for each kind."""
    vocab = _object(directory / "vocab.json")
    path = directory / "merges.txt"
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}. It belongs to vocab.json.") from None
    merges = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    for pair in merges:
        if len(pair) != 2:
            raise ValueError(f"{path} has the line {' '.join(pair)!r}, which is not two tokens.")
    byte_level = _is_byte_level(directory, vocab, settings)
    roles = ("bos_token", "eos_token", "unk_token") if byte_level else ("unk_token",)
    default = "<|endoftext|>" if byte_level else "<unk>"
    for role in roles:
        settings.setdefault(role, default)
    unk_token = None if byte_level else _content(settings["unk_token"])
    return {"vocab": vocab, "merges": merges, "byte_level": byte_level, "unk_token": unk_token}


def _is_byte_level(directory: Path, vocab: dict[str, int], settings: Mapping[str, Any]) -> bool:
    """By the class that Transformers wrote, else by how the vocabulary writes a space."""
    name = str(settings.get("tokenizer_class"))
    if name.startswith(("OpenAIGPT", "GPT2")):
        return name.startswith("GPT2")
    if "Ġ" in vocab:
        return True
    if any(token.endswith(WORD_END) for token in vocab):
        return False
    raise ValueError(f"{directory / 'vocab.json'} is neither GPT-2's kind, with a token 'Ġ', nor GPT-1's, with '</w>'.")


def _with_settings(
    arguments: dict[str, Any], settings: Mapping[str, Any], numbered: Mapping[str, int]
) -> dict[str, Any]:
    """Adds what lies beside the vocabulary: roles, further tokens, lengths and sides."""
    tokens = {token.content: token for token in arguments.get("added_tokens", ())}
    vocab = arguments["vocab"]
    for i, token in sorted((settings.get("added_tokens_decoder") or {}).items(), key=lambda item: int(item[0])):
        tokens.setdefault(token["content"], _added_token(int(i), token))
    for content, i in numbered.items():
        tokens.setdefault(content, AddedToken(i, content, special=False, normalized=True))
    roles = {role: settings[role] for role in ROLES if settings.get(role)}
    extra = settings.get("additional_special_tokens") or settings.get("extra_special_tokens") or []
    for token in [*roles.values(), *(extra if isinstance(extra, list) else extra.values())]:
        if (content := _content(token)) not in tokens:
            last = max([*vocab.values(), *(token.id for token in tokens.values())], default=-1)
            tokens[content] = _added_token(vocab.get(content, last + 1), token)
    special = {role: _content(token) for role, token in roles.items()}
    if settings.get("add_bos_token") and "prefix" not in arguments:
        arguments["prefix"] = [tokens[special["bos_token"]].id]
    length = settings.get("model_max_length")
    sides = {side: settings[side] for side in ("padding_side", "truncation_side") if side in settings}
    return {
        **arguments,
        **sides,
        "add_prefix_space": settings.get("add_prefix_space", arguments.get("add_prefix_space", False)),
        "added_tokens": list(tokens.values()),
        "special_tokens": special,
        "model_max_length": int(length) if length and length < NO_MAX_LENGTH else None,
    }


def write(tokenizer: BPETokenizer, directory: Path) -> None:
    """Writes a tokenizer for Transformers and for `read`."""
    name = "GPT2Tokenizer" if tokenizer.byte_level else "OpenAIGPTTokenizer"
    tokens = {str(token.id): _written(token) for token in tokenizer.added_tokens}
    config = {
        "tokenizer_class": name,
        "model_max_length": tokenizer.model_max_length or int(1e30),
        "padding_side": tokenizer.padding_side,
        "truncation_side": tokenizer.truncation_side,
        "clean_up_tokenization_spaces": False,
        "added_tokens_decoder": tokens,
        **({"add_prefix_space": tokenizer.add_prefix_space} if tokenizer.byte_level else {}),
        **tokenizer.special_tokens,
    }
    with whole_file(directory / "merges.txt") as partial:
        lines = ["#version: 0.2", *(" ".join(pair) for pair in tokenizer.merges)]
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_json(directory / "vocab.json", tokenizer.vocab)
    write_json(directory / "tokenizer.json", compose(tokenizer))
    write_json(directory / "special_tokens_map.json", tokenizer.special_tokens)
    write_json(directory / "tokenizer_config.json", config)


def compose(tokenizer: BPETokenizer) -> dict[str, Any]:
    """What `tokenizer.json` holds."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": tokenizer.add_prefix_space, "trim_offsets": True}
    byte_level["use_regex"] = True
    gpt1 = not tokenizer.byte_level
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": token.id, **_written(token)} for token in tokenizer.added_tokens],
        "normalizer": {**_GPT1, "strip_accents": None} if gpt1 else None,
        "pre_tokenizer": {"type": "BertPreTokenizer"} if gpt1 else byte_level,
        "post_processor": _post_processor(tokenizer),
        "decoder": {"type": "BPEDecoder", "suffix": WORD_END} if gpt1 else byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": tokenizer.unk_token,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": WORD_END if gpt1 else None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": tokenizer.vocab,
            "merges": tokenizer.merges,
        },
    }


def _post_processor(tokenizer: BPETokenizer) -> dict[str, Any] | None:
    names = {i: tokenizer.decode([i]) for i in {*tokenizer.prefix, *tokenizer.suffix}}
    if not names:
        return None

    def around(*sequences: str) -> list[dict[str, Any]]:
        before, after = (
            [{"SpecialToken": {"id": names[i], "type_id": 0}} for i in ids]
            for ids in (tokenizer.prefix, tokenizer.suffix)
        )
        return [*before, *({"Sequence": {"id": name, "type_id": 0}} for name in sequences), *after]

    tokens = {name: {"id": name, "ids": [i], "tokens": [name]} for i, name in names.items()}
    return {"type": "TemplateProcessing", "single": around("A"), "pair": around("A", "B"), "special_tokens": tokens}


def _template(content: Mapping[str, Any]) -> tuple[list[int], list[int]]:
    """The ids that a post-processor puts before and after a text."""
    kind = content.get("type", "ByteLevel")
    if kind == "Sequence":
        around = [_template(part) for part in content["processors"]]
        _require(sum(any(ids) for ids in around) <= 1, "post-processor", content)
        return next((ids for ids in around if any(ids)), ([], []))
    if kind == "ByteLevel":  # moves offsets alone
        return [], []
    _require(kind == "TemplateProcessing", "post-processor", kind)
    ids: list[list[int]] = [[]]
    for piece in content["single"]:
        if "Sequence" in piece:
            ids.append([])
        else:
            ids[-1] += content["special_tokens"][piece["SpecialToken"]["id"]]["ids"]
    _require(len(ids) == 2, "post-processor", content["single"])
    return ids[0], ids[1]


def _added_token(i: int, token: str | Mapping[str, Any]) -> AddedToken:
    if isinstance(token, str):
        return AddedToken(i, token)
    _require(not token.get("single_word"), f"added token with `single_word`, {token['content']!r}", "True")
    flags = {flag: bool(token[flag]) for flag in ("special", "lstrip", "rstrip", "normalized") if flag in token}
    return AddedToken(i, token["content"], **flags)


def _written(token: AddedToken) -> dict[str, Any]:
    flags = ("lstrip", "rstrip", "normalized", "special")
    return {"content": token.content, "single_word": False, **{flag: getattr(token, flag) for flag in flags}}


def _content(token: str | Mapping[str, Any]) -> str:
    return token if isinstance(token, str) else token["content"]


def _object(path: Path, default: dict[str, Any] | None = None) -> dict[str, Any]:
    if not path.exists():
        if default is None:
            raise ValueError(f"{path.parent} has neither tokenizer.json nor {path.name}: it holds no BPE tokenizer.")
        return default
    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object; got {json.dumps(content)[:40]}.")
    return content


def _require(condition: object, what: str, value: object) -> None:
    if not condition:
        raise ValueError(f"the {what} {value!r} is not GPT-2's or GPT-1's: it would give other ids than it should.")


def _reason(error: Exception) -> str:
    return f"{error} is missing." if isinstance(error, KeyError) else str(error)
