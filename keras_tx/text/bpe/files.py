"""The files of a BPE tokenizer as Transformers and `tokenizers` read and write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from keras_tx.files import whole_file, write_json
from keras_tx.text.bpe.bytes import byte_characters
from keras_tx.text.bpe.classes import BYT5_SENTINELS, CLASSES, WORD_END, Errors, WordRule, likely_class
from keras_tx.text.core import files as tokenizer_files
from keras_tx.text.core.classes import class_name
from keras_tx.text.core.files import JSON, content_of
from keras_tx.text.core.post_processor import read_template
from keras_tx.text.core.template import ROBERTA, Template
from keras_tx.text.graph.added_tokens import AddedToken
from keras_tx.text.graph.cl100k import PATTERN as CL100K

_GPT1 = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": True}


def read(directory: Path) -> dict[str, Any]:
    """The arguments of `BPETokenizer` from a directory.

    Raises:
        ValueError: if files are missing or damaged, or of a tokenizer that we do not have.
    """
    arguments, settings = tokenizer_files.read(
        directory, parse, _read_plain, CLASSES, lambda arguments: likely_class(arguments["vocab"])
    )
    kind = CLASSES.get(class_name(directory) or "")
    if arguments.get("words", "gpt2") == "gpt2" and kind:
        arguments["add_prefix_space"] = kind.add_prefix_space
    if settings.get("add_prefix_space") is not None:
        arguments["add_prefix_space"] = settings["add_prefix_space"]
    return {**arguments, "errors": settings.get("errors", arguments.get("errors", "replace"))}


def parse(content: JSON) -> dict[str, Any]:
    """The arguments of `BPETokenizer` from what `tokenizer.json` holds.

    Raises:
        ValueError: for whatever would give other ids here.
    """
    model, split, normalizer = (content.get(part) or {} for part in ("model", "pre_tokenizer", "normalizer"))
    _require(model.get("type", "BPE") == "BPE" and "merges" in model, "model", model.get("type"))
    for option in ("dropout", "continuing_subword_prefix", "fuse_unk", "byte_fallback"):
        _require(not model.get(option), f"model's `{option}`", model.get(option))
    suffix, words = model.get("end_of_word_suffix") or "", _words(split)
    ignore_merges = bool(model.get("ignore_merges", False))
    if words:
        _require(not normalizer, "normalizer", normalizer)
        _require(not suffix, "model's `end_of_word_suffix`", suffix)
    else:
        _require(split.get("type") == "BertPreTokenizer", "pre-tokenizer", split)
        accents = normalizer.get("strip_accents")
        _require({**normalizer, "strip_accents": None} == {**_GPT1, "strip_accents": None}, "normalizer", normalizer)
        _require(accents in (None, True), "normalizer", normalizer)
        _require(suffix == WORD_END, "model's `end_of_word_suffix`", suffix)
        _require(not ignore_merges, "model's `ignore_merges`", True)
    return {
        "vocab": model["vocab"],
        "merges": [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]],
        "byte_level": words is not None,
        "words": words or "gpt2",
        "ignore_merges": ignore_merges,
        "unk_token": model.get("unk_token"),
        "add_prefix_space": split.get("add_prefix_space", False),
        "added_tokens": tokenizer_files.read_added_tokens(content),
        "template": read_template(content.get("post_processor")),
    }


def _words(split: JSON) -> WordRule | None:
    """Returns the rule by which a tokenizer of bytes splits texts; None if it is another pre-tokenizer."""
    match split:
        case {"type": "ByteLevel"} if split.get("use_regex", True):
            return "gpt2"
        case {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
                {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
            ],
        } if pattern == CL100K:
            return "cl100k"
    return None


def _read_plain(directory: Path, settings: JSON, name: str | None) -> tuple[dict[str, Any], str]:
    """Reads `vocab.json` and `merges.txt`; of ByT5, which has no such files, what lies beside them."""
    if name == "ByT5Tokenizer":
        return _byt5(settings), name
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
    name = name if name in CLASSES else likely_class(vocab)
    if name is None:
        raise ValueError(
            f"{directory / 'vocab.json'} has neither GPT-2's <|endoftext|>, RoBERTa's <s> and </s>, nor GPT-1's </w>, "
            "and nothing beside it says of which class the tokenizer is: name it as `tokenizer_class` in "
            "tokenizer_config.json, GPT2Tokenizer or another."
        )
    kind = CLASSES[name]
    unknown = None if kind.byte_level else content_of(settings.get("unk_token", kind.roles["unk_token"]))
    return {"vocab": vocab, "merges": merges, "byte_level": kind.byte_level, "unk_token": unknown}, name


def _byt5(settings: JSON) -> dict[str, Any]:
    """The bytes after three special tokens, and sentinels after the bytes."""
    special = [content_of(settings.get(role, token)) for role, token in CLASSES["ByT5Tokenizer"].roles.items()]
    sentinels = [f"<extra_id_{i}>" for i in range(settings.get("extra_ids") or BYT5_SENTINELS)]
    vocab = {token: i for i, token in enumerate([*special, *byte_characters()])}
    added = [AddedToken(i, token, lstrip=True, rstrip=True) for i, token in enumerate(special)]
    added += [AddedToken(i, token) for i, token in enumerate(sentinels, start=len(vocab))]
    return {"vocab": vocab, "merges": [], "added_tokens": added, "errors": "ignore"}


class BPE(tokenizer_files.Written, Protocol):
    """The attributes of a BPE tokenizer that its files hold."""

    merges: list[tuple[str, str]]
    byte_level: bool
    unk_token: str | None
    add_prefix_space: bool
    words: WordRule
    ignore_merges: bool
    errors: Errors
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
        config["errors"] = tokenizer.errors
    tokenizer_files.write(tokenizer, directory, compose(tokenizer), config)


def _class(tokenizer: BPE) -> str:
    """The class of Transformers' that gives the same ids."""
    if _is_roberta(tokenizer):
        return "RobertaTokenizer"
    if tokenizer.template != Template() or tokenizer.words != "gpt2" or tokenizer.ignore_merges:
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
    split: dict[str, Any] = byte_level
    if tokenizer.words == "cl100k":
        rule = {"type": "Split", "pattern": {"Regex": CL100K}, "behavior": "Isolated", "invert": False}
        split = {"type": "Sequence", "pretokenizers": [rule, {**byte_level, "use_regex": False}]}
    gpt1 = not tokenizer.byte_level
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": tokenizer.unk_token,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": WORD_END if gpt1 else None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": tokenizer.ignore_merges,
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
        pre_tokenizer={"type": "BertPreTokenizer"} if gpt1 else split,
        decoder={"type": "BPEDecoder", "suffix": WORD_END} if gpt1 else byte_level,
        model=model,
        **({"post_processor": processor} if processor else {}),
    )


def _require(condition: object, what: str, value: object) -> None:
    if not condition:
        raise ValueError(f"the {what} {value!r} is not GPT-2's or GPT-1's: it would give other ids than it should.")
