"""The files of a BPE tokenizer as Transformers and `tokenizers` read and write them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_tx.files import whole_file, write_json
from keras_tx.text.core import files as tokenizer_files
from keras_tx.text.core.files import JSON, content_of

if TYPE_CHECKING:
    from keras_tx.text.bpe.tokenizer import BPETokenizer

WORD_END = "</w>"
"""GPT-1's suffix of what ends a word."""

_GPT1 = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": True}


def read(directory: Path) -> dict[str, Any]:
    """The arguments of `BPETokenizer` from a directory.

    Raises:
        ValueError: if files are missing or damaged, or of a tokenizer that we do not have.
    """
    arguments, settings = tokenizer_files.read(directory, parse, _read_plain)
    if settings.get("add_bos_token") and "prefix" not in arguments:
        bos = arguments["special_tokens"]["bos_token"]
        arguments["prefix"] = [token.id for token in arguments["added_tokens"] if token.content == bos]
    if "add_prefix_space" in settings:
        arguments["add_prefix_space"] = settings["add_prefix_space"]
    return arguments


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
    before, after = _around(content.get("post_processor") or {})
    return {
        "vocab": model["vocab"],
        "merges": [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]],
        "byte_level": byte_level,
        "unk_token": model.get("unk_token"),
        "add_prefix_space": split.get("add_prefix_space", False),
        "added_tokens": tokenizer_files.read_added_tokens(content),
        "prefix": before,
        "suffix": after,
    }


def _read_plain(directory: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """From `vocab.json` and `merges.txt`, with the defaults that Transformers has for each kind."""
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
    byte_level = _is_byte_level(directory, vocab, settings)
    roles = ("bos_token", "eos_token", "unk_token") if byte_level else ("unk_token",)
    default = "<|endoftext|>" if byte_level else "<unk>"
    for role in roles:
        settings.setdefault(role, default)
    unk_token = None if byte_level else content_of(settings["unk_token"])
    return {"vocab": vocab, "merges": merges, "byte_level": byte_level, "unk_token": unk_token}


def _is_byte_level(directory: Path, vocab: dict[str, int], settings: JSON) -> bool:
    """By the class that Transformers wrote, else by how the vocabulary writes a space."""
    name = str(settings.get("tokenizer_class"))
    if name.startswith(("OpenAIGPT", "GPT2")):
        return name.startswith("GPT2")
    if "Ġ" in vocab:
        return True
    if any(token.endswith(WORD_END) for token in vocab):
        return False
    raise ValueError(f"{directory / 'vocab.json'} is neither GPT-2's kind, with a token 'Ġ', nor GPT-1's, with '</w>'.")


def write(tokenizer: BPETokenizer, directory: Path) -> None:
    """Writes a tokenizer for Transformers and for `read`."""
    with whole_file(directory / "merges.txt") as partial:
        lines = ["#version: 0.2", *(" ".join(pair) for pair in tokenizer.merges)]
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_json(directory / "vocab.json", tokenizer.vocab)
    config: dict[str, Any] = {"tokenizer_class": "OpenAIGPTTokenizer"}
    if tokenizer.byte_level:
        config = {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": tokenizer.add_prefix_space}
    tokenizer_files.write(tokenizer, directory, compose(tokenizer), config)


def compose(tokenizer: BPETokenizer) -> dict[str, Any]:
    """What `tokenizer.json` holds."""
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
    return tokenizer_files.compose(
        tokenizer,
        normalizer={**_GPT1, "strip_accents": None} if gpt1 else None,
        pre_tokenizer={"type": "BertPreTokenizer"} if gpt1 else byte_level,
        decoder={"type": "BPEDecoder", "suffix": WORD_END} if gpt1 else byte_level,
        model=model,
    )


def _around(processor: JSON) -> tuple[list[int], list[int]]:
    """The ids before a text and after it."""
    kind = processor.get("type", "ByteLevel")
    if kind == "Sequence":
        parts = [_around(part) for part in processor["processors"]]
        _require(sum(any(ids) for ids in parts) <= 1, "post-processor", processor)
        return next((ids for ids in parts if any(ids)), ([], []))
    if kind == "ByteLevel":  # moves offsets alone
        return [], []
    _require(kind == "TemplateProcessing", "post-processor", kind)
    around = [ids for ids, _ in tokenizer_files.template(processor, "single")]
    _require(len(around) == 2, "post-processor", processor["single"])
    return around[0], around[1]


def _require(condition: object, what: str, value: object) -> None:
    if not condition:
        raise ValueError(f"the {what} {value!r} is not GPT-2's or GPT-1's: it would give other ids than it should.")
