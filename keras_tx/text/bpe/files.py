"""The files of a BPE tokenizer as Transformers and `tokenizers` read and write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from keras_tx.files import whole_file, write_json
from keras_tx.text.core import files as tokenizer_files
from keras_tx.text.core.files import JSON, content_of
from keras_tx.text.core.post_processor import read_template
from keras_tx.text.core.template import BOS, ROBERTA, Template

WORD_END = "</w>"
"""GPT-1's suffix of what ends a word."""

_GPT1 = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": True}


@dataclass(frozen=True)
class Kind:
    """The defaults of one of Transformers' tokenizer classes.

    Attributes:
        byte_level: whether its tokens are of bytes, as GPT-2's, or of characters.
        roles: the special tokens.
        template: the notation of the template of one text and of two.
    """

    byte_level: bool
    roles: Mapping[str, str]
    template: tuple[str, str] | None = None


_GPT2_KIND = Kind(True, dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>"))
_GPT1_KIND = Kind(False, {"unk_token": "<unk>"})
_ROBERTA_KIND = Kind(
    True,
    {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "cls_token": "<s>",
        "mask_token": "<mask>",
    },
    ROBERTA,
)
_KINDS = {
    "GPT2Tokenizer": _GPT2_KIND,
    "OpenAIGPTTokenizer": _GPT1_KIND,
    "RobertaTokenizer": _ROBERTA_KIND,
    "BartTokenizer": _ROBERTA_KIND,
}
_CLASSES = {
    "gpt2": "GPT2Tokenizer",
    "openai-gpt": "OpenAIGPTTokenizer",
    "roberta": "RobertaTokenizer",
    "bart": "BartTokenizer",
}
"""The classes by the `model_type` in `config.json`."""


def read(directory: Path) -> dict[str, Any]:
    """The arguments of `BPETokenizer` from a directory.

    Raises:
        ValueError: if files are missing or damaged, or of a tokenizer that we do not have.
    """
    kind = _kind(directory)
    roles = kind.roles if kind else {}
    arguments, settings = tokenizer_files.read(directory, parse, _read_plain, roles)
    if settings.get("add_bos_token") and "template" not in arguments:
        bos = arguments["special_tokens"]["bos_token"]
        [bos_id] = [token.id for token in arguments["added_tokens"] if token.content == bos]
        arguments["template"] = Template.parse(*BOS, {"<s>": bos_id})
    if "add_prefix_space" in settings:
        arguments["add_prefix_space"] = settings["add_prefix_space"]
    return arguments


def _kind(directory: Path) -> Kind | None:
    """Returns the kind of the class in `tokenizer_config.json`, or else of the `model_type` in `config.json`."""
    name = tokenizer_files.read_object(directory / "tokenizer_config.json", {}).get("tokenizer_class")
    if name is None:
        name = _CLASSES.get(str(tokenizer_files.read_object(directory / "config.json", {}).get("model_type")))
    return _KINDS.get(str(name).removesuffix("Fast"))


def parse(content: JSON) -> dict[str, Any]:
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
    return {
        "vocab": model["vocab"],
        "merges": [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]],
        "byte_level": byte_level,
        "unk_token": model.get("unk_token"),
        "add_prefix_space": split.get("add_prefix_space", False),
        "added_tokens": tokenizer_files.read_added_tokens(content),
        "template": read_template(content.get("post_processor")),
    }


def _read_plain(directory: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Reads `vocab.json` and `merges.txt`, with the defaults that Transformers has for each kind."""
    if not (directory / "vocab.json").exists():
        raise ValueError(f"{directory} has neither tokenizer.json nor vocab.json: it holds no BPE tokenizer.")
    vocab = tokenizer_files.read_object(directory / "vocab.json")
    path = directory / "merges.txt"
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}. It belongs to vocab.json.") from None
    merges = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    for pair in merges:
        if len(pair) != 2:
            raise ValueError(f"{path} has the line {' '.join(pair)!r}, which is not two tokens.")
    kind = _kind(directory) or _kind_of(vocab, directory)
    for role, default in kind.roles.items():
        settings.setdefault(role, default)
    arguments = {"vocab": vocab, "merges": merges, "byte_level": kind.byte_level, "unk_token": None}
    if not kind.byte_level:
        return {**arguments, "unk_token": content_of(settings["unk_token"])}
    if kind.template is None:
        return arguments
    if isinstance(settings["mask_token"], str):  # Transformers lets it take the blank before it
        settings["mask_token"] = {"content": settings["mask_token"], "lstrip": True}
    ids = {}
    for role, name in (("cls_token", "<s>"), ("sep_token", "</s>")):
        token = content_of(settings[role])
        if token not in vocab:
            raise ValueError(f"{directory / 'vocab.json'} has no token {token!r}, the tokenizer's `{role}`.")
        ids[name] = vocab[token]
    return {**arguments, "template": Template.parse(*kind.template, ids)}


def _kind_of(vocab: Mapping[str, int], directory: Path) -> Kind:
    """Tells the kind by how the vocabulary writes a space."""
    if "Ġ" in vocab:
        return _GPT2_KIND
    if any(token.endswith(WORD_END) for token in vocab):
        return _GPT1_KIND
    raise ValueError(f"{directory / 'vocab.json'} is neither GPT-2's kind, with a token 'Ġ', nor GPT-1's, with '</w>'.")


class BPE(tokenizer_files.Written, Protocol):
    """The attributes of a BPE tokenizer that its files hold."""

    merges: list[tuple[str, str]]
    byte_level: bool
    unk_token: str | None
    add_prefix_space: bool
    cls_token_id: int | None
    sep_token_id: int | None


def write(tokenizer: BPE, directory: Path) -> None:
    """Writes a tokenizer for Transformers and for `read`."""
    with whole_file(directory / "merges.txt") as partial:
        lines = ["#version: 0.2", *(" ".join(pair) for pair in tokenizer.merges)]
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_json(directory / "vocab.json", tokenizer.vocab)
    config: dict[str, Any] = {"tokenizer_class": _class(tokenizer)}
    if tokenizer.byte_level:
        config["add_prefix_space"] = tokenizer.add_prefix_space
    tokenizer_files.write(tokenizer, directory, compose(tokenizer), config)


def _class(tokenizer: BPE) -> str:
    """The class of Transformers' that gives the same ids."""
    if _is_roberta(tokenizer):
        return "RobertaTokenizer"
    if tokenizer.template != Template():
        return "PreTrainedTokenizerFast"
    return "GPT2Tokenizer" if tokenizer.byte_level else "OpenAIGPTTokenizer"


def _is_roberta(tokenizer: BPE) -> bool:
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    if not tokenizer.byte_level or cls is None or sep is None:
        return False
    return tokenizer.template == Template.parse(*ROBERTA, {"<s>": cls, "</s>": sep})


def compose(tokenizer: BPE) -> dict[str, Any]:
    """Returns the content of `tokenizer.json`."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": tokenizer.add_prefix_space, "trim_offsets": True}
    byte_level["use_regex"] = True
    gpt1 = not tokenizer.byte_level
    model = {
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
    }
    processor: dict[str, Any] = {}
    if _is_roberta(tokenizer):
        special = {"cls": tokenizer.cls_token_id, "sep": tokenizer.sep_token_id}
        processor = {name: [tokenizer.tokens[i or 0], i] for name, i in special.items()}
        processor |= {"type": "RobertaProcessing", "trim_offsets": True, "add_prefix_space": tokenizer.add_prefix_space}
    return tokenizer_files.compose(
        tokenizer,
        normalizer={**_GPT1, "strip_accents": None} if gpt1 else None,
        pre_tokenizer={"type": "BertPreTokenizer"} if gpt1 else byte_level,
        decoder={"type": "BPEDecoder", "suffix": WORD_END} if gpt1 else byte_level,
        model=model,
        **({"post_processor": processor} if processor else {}),
    )


def _require(condition: object, what: str, value: object) -> None:
    if not condition:
        raise ValueError(f"the {what} {value!r} is not GPT-2's or GPT-1's: it would give other ids than it should.")
