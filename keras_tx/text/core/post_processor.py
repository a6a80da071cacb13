"""Templates as the post-processor in `tokenizer.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keras_tx.text.core.template import BERT, ROBERTA, Piece, Template


def read_template(processor: Mapping[str, Any] | None) -> Template:
    """The template that a post-processor says.

    Raises:
        ValueError: for a post-processor that is not supported.
    """
    kind = (processor or {}).get("type", "ByteLevel")
    if processor is None or kind == "ByteLevel":  # which moves offsets alone
        return Template()
    if kind == "Sequence":
        templates = [read_template(part) for part in processor["processors"] if part["type"] != "ByteLevel"]
        if len(templates) > 1:
            raise ValueError(f"the post-processor has {len(templates)} templates, one after another: it must have one.")
        return templates[0] if templates else Template()
    if kind == "BertProcessing":
        return Template.parse(*BERT, {"[CLS]": processor["cls"][1], "[SEP]": processor["sep"][1]})
    if kind == "RobertaProcessing":
        return Template.parse(*ROBERTA, {"<s>": processor["cls"][1], "</s>": processor["sep"][1]})
    if kind != "TemplateProcessing":
        raise ValueError(
            f"the post-processor {kind!r} is not supported; known are TemplateProcessing, BertProcessing, "
            "RobertaProcessing, ByteLevel and a Sequence of them."
        )
    special = processor["special_tokens"]
    return Template(_read(processor["single"], special), _read(processor["pair"], special))


def write_template(template: Template, tokens: Sequence[str]) -> dict[str, Any] | None:
    """The post-processor that says a template.

    Args:
        template: to write.
        tokens: the vocabulary's tokens by id.
    """
    if template == Template():
        return None
    pieces = (*template.single, *template.pair)
    names = {piece.content: tokens[piece.content] for piece in pieces if isinstance(piece.content, int)}
    return {
        "type": "TemplateProcessing",
        "single": [_written(piece, names) for piece in template.single],
        "pair": [_written(piece, names) for piece in template.pair],
        "special_tokens": {name: {"id": name, "ids": [i], "tokens": [name]} for i, name in names.items()},
    }


def _written(piece: Piece, names: Mapping[int, str]) -> dict[str, Any]:
    if isinstance(piece.content, int):
        return {"SpecialToken": {"id": names[piece.content], "type_id": piece.type_id}}
    return {"Sequence": {"id": piece.content, "type_id": piece.type_id}}


def _read(pieces: Sequence[Mapping[str, Any]], special_tokens: Mapping[str, Any]) -> tuple[Piece, ...]:
    found: list[Piece] = []
    for piece in pieces:
        [(kind, value)] = piece.items()
        contents = [value["id"]] if kind == "Sequence" else special_tokens[value["id"]]["ids"]
        found += [Piece(content, value["type_id"]) for content in contents]
    return tuple(found)
