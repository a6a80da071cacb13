"""The files of a SentencePiece tokenizer as Transformers, `tokenizers` and SentencePiece itself read and write them."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any, Protocol

from keras_tx.text.core import files as tokenizer_files
from keras_tx.text.core.files import JSON
from keras_tx.text.core.locate import FAIRSEQ_MODEL, SENTENCEPIECE_MODELS
from keras_tx.text.core.post_processor import read_template
from keras_tx.text.core.template import T5, Template
from keras_tx.text.graph.added_tokens import AddedToken
from keras_tx.text.graph.charsmap import Charsmap
from keras_tx.text.graph.metaspace import BLANK, Metaspace, parse_metaspace
from keras_tx.text.graph.normalizers import Normalizer, Replace, normalizer_content, parse_normalizer
from keras_tx.text.graph.piece_text import PieceText
from keras_tx.text.sentencepiece import proto
from keras_tx.text.sentencepiece.classes import CLASSES, LIKELY, class_normalizers


def is_sentencepiece(directory: Path) -> bool:
    """Whether a directory holds a tokenizer of this kind, which writes blanks as `▁`."""
    if not (path := directory / "tokenizer.json").exists():
        return any((directory / name).exists() for name in SENTENCEPIECE_MODELS)
    content = tokenizer_files.read_object(path)
    parts = [content.get(part) for part in ("normalizer", "pre_tokenizer", "decoder")]
    return BLANK in json.dumps(parts, ensure_ascii=False)


def read(directory: Path) -> dict[str, Any]:
    """The arguments of `SentencePieceTokenizer` from a directory.

    Raises:
        ValueError: if files are missing or damaged, or of a tokenizer that we do not have.
    """
    arguments, settings = tokenizer_files.read(directory, parse, _read_plain, CLASSES, _likely_class)
    clean_up = bool(settings.get("clean_up_tokenization_spaces", False))
    return {**arguments, "text": dataclasses.replace(arguments.get("text", PieceText()), clean_up=clean_up)}


def _likely_class(arguments: JSON) -> str | None:
    return "T5Tokenizer" if "scores" in arguments else None


def parse(content: JSON) -> dict[str, Any]:
    """The arguments of `SentencePieceTokenizer` from what `tokenizer.json` holds.

    Raises:
        ValueError: for whatever would give other ids here.
    """
    normalizers, split = parse_normalizer(content.get("normalizer")), content.get("pre_tokenizer")
    if (split or {}).get("pattern") == {"String": " "} and Replace(" ", BLANK) in normalizers:
        split = None  # Gemma's, which splits at blanks where none is left
    return {
        **parse_model(content["model"]),
        "normalizers": normalizers,
        "words": parse_metaspace(split),
        "text": PieceText.parse(content.get("decoder")),
        "added_tokens": tokenizer_files.read_added_tokens(content),
        "template": read_template(content.get("post_processor")),
    }


def parse_model(model: JSON) -> dict[str, Any]:
    """The arguments that the model in `tokenizer.json` gives.

    Raises:
        ValueError: for whatever would give other ids here.
    """
    spelled = {"byte_fallback": bool(model.get("byte_fallback", False))}
    kind = model.get("type", "Unigram" if "unk_id" in model else "BPE")  # older files do not say
    if kind == "Unigram":
        pieces, scores = zip(*model["vocab"], strict=True)
        _require(model["unk_id"] is not None, "model's `unk_id`", None)
        vocab = {piece: i for i, piece in enumerate(pieces)}
        return {**spelled, "vocab": vocab, "scores": list(scores), "unk_token": pieces[model["unk_id"]]}
    _require(kind == "BPE" and "merges" in model, "model", kind)
    for option in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges"):
        _require(not model.get(option), f"model's `{option}`", model.get(option))
    merges = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]]
    unknown = {"unk_token": model.get("unk_token"), "fuse_unk": bool(model.get("fuse_unk", False))}
    return {**spelled, **unknown, "vocab": model["vocab"], "merges": merges}


def _read_plain(directory: Path, settings: JSON, name: str | None) -> tuple[dict[str, Any], str]:
    """Reads a model of SentencePiece as the tokenizer's class does, of which there is one for each type of model."""
    path = next((directory / file for file in SENTENCEPIECE_MODELS if (directory / file).exists()), None)
    if path is None:
        raise ValueError(
            f"{directory} has neither tokenizer.json nor {SENTENCEPIECE_MODELS[0]}: "
            "it holds no SentencePiece tokenizer."
        )
    if path.name == FAIRSEQ_MODEL and name not in CLASSES:
        raise ValueError(
            f"{path} numbers its pieces otherwise than the tokenizers that come with it, and nothing beside it says of "
            "which class the tokenizer is: name it as `tokenizer_class` in tokenizer_config.json, XLMRobertaTokenizer "
            "or CamembertTokenizer."
        )
    model = proto.read_model(path)
    name = name if name in CLASSES else LIKELY[model.model_type]
    kind = CLASSES[name]
    if model.model_type != kind.model_type:
        raise ValueError(f"{path} is of the type {model.model_type}; a {name} reads models of {kind.model_type}.")
    numbered = {piece: i for i, piece in enumerate(model.pieces)}
    unknown = model.pieces[model.of_type(proto.UNKNOWN)[0]]
    last = list(kind.last)
    if name == "T5Tokenizer":
        last = [f"<extra_id_{i}>" for i in reversed(range(settings.get("extra_ids", 100)))]
    pieces = [*kind.first, *model.pieces[kind.replaced :], *last]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    control = [model.pieces[i] for i in model.of_type(proto.CONTROL)]
    special = [piece for piece in pieces if piece in {*kind.first, *control, *last} and piece != "<mask>"]
    added = [AddedToken(vocab[piece], piece) for piece in special]
    user_defined = [model.pieces[i] for i in model.of_type(proto.USER_DEFINED)]
    masks = (kind.roles.get("mask_token"), settings.get("mask_token"))
    added += [AddedToken(vocab[piece], piece, special=False) for piece in user_defined if piece not in masks]
    if kind.model_type == proto.BPE:
        return {**_bpe(model, bool(settings.get("legacy"))), "unk_token": unknown, "added_tokens": added}, name
    scores = [0.0 if piece in kind.first or piece in last else model.scores[numbered[piece]] for piece in pieces]
    charsmap = (Charsmap(model.charsmap),) if model.charsmap else ()
    normalizers = (*class_normalizers(name, settings), *charsmap)
    return {
        "vocab": vocab,
        "scores": scores,
        "unk_token": unknown,
        "normalizers": normalizers,
        "added_tokens": added,
    }, name


def _bpe(model: proto.SentencePieceModel, legacy: bool) -> dict[str, Any]:
    """A BPE model's pieces, each of which two shorter ones make, the more frequent ones first.

    Args:
        model: the model.
        legacy: whether each stretch of text between special tokens begins with a blank, and not the first one alone.
    """
    vocab = {piece: i for i, piece in enumerate(model.pieces)}
    pairs = ((piece[:cut], piece[cut:]) for piece in model.pieces for cut in range(1, len(piece)))
    merges = [(left, right) for left, right in pairs if left in vocab and right in vocab]
    return {
        "vocab": vocab,
        "merges": merges,
        "byte_fallback": model.byte_fallback,
        "words": Metaspace(False, "always" if legacy else "first", split=False),
        "text": PieceText("blank", spelled=True),
    }


class SentencePiece(tokenizer_files.Written, Protocol):
    """The attributes of a SentencePiece tokenizer that its files hold."""

    scores: list[float] | None
    merges: list[tuple[str, str]] | None
    unk_token: str | None
    fuse_unk: bool
    byte_fallback: bool
    normalizers: tuple[Normalizer, ...]
    words: Metaspace | None
    text: PieceText
    eos_token_id: int | None


def write(tokenizer: SentencePiece, directory: Path) -> None:
    """Writes a tokenizer for Transformers and for `read`."""
    config: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
    if _is_t5(tokenizer):
        sentinels = [token for token in tokenizer.tokens if re.fullmatch(r"<extra_id_\d+>", token)]
        config = {"tokenizer_class": "T5Tokenizer", "extra_ids": len(sentinels)}
        config["additional_special_tokens"] = sentinels
    config["clean_up_tokenization_spaces"] = tokenizer.text.clean_up
    tokenizer_files.write(tokenizer, directory, compose(tokenizer), config)


def _is_t5(tokenizer: SentencePiece) -> bool:
    """Whether Transformers' T5 tokenizer, which knows but one way to split texts, gives the same ids."""
    return (
        tokenizer.scores is not None
        and tokenizer.words == Metaspace()
        and [type(step) for step in tokenizer.normalizers] in ([], [Charsmap])
        and not tokenizer.byte_fallback
        and tokenizer.vocab[tokenizer.unk_token or ""] == 2
        and tokenizer.eos_token_id is not None
        and tokenizer.template == Template.parse(*T5, {"</s>": tokenizer.eos_token_id})
    )


def compose(tokenizer: SentencePiece) -> dict[str, Any]:
    """Returns the content of `tokenizer.json`."""
    model: dict[str, Any]
    if tokenizer.scores is not None:
        pieces = sorted(tokenizer.vocab, key=tokenizer.vocab.__getitem__)
        unknown = tokenizer.vocab[tokenizer.unk_token or ""]
        model = {"type": "Unigram", "unk_id": unknown, "vocab": [*zip(pieces, tokenizer.scores, strict=True)]}
    else:
        model = {"type": "BPE", "dropout": None, "unk_token": tokenizer.unk_token, "fuse_unk": tokenizer.fuse_unk}
        model |= {"continuing_subword_prefix": None, "end_of_word_suffix": None, "ignore_merges": False}
        model |= {"vocab": tokenizer.vocab, "merges": tokenizer.merges}
    return tokenizer_files.compose(
        tokenizer,
        normalizer=normalizer_content(tokenizer.normalizers),
        pre_tokenizer=tokenizer.words.content() if tokenizer.words else None,
        decoder=tokenizer.text.content(),
        model={**model, "byte_fallback": tokenizer.byte_fallback},
    )


def _require(condition: object, what: str, value: object) -> None:
    if not condition:
        raise ValueError(f"the {what} {value!r} is none of SentencePiece's: it would give other ids than it should.")
