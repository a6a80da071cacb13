"""The files of a WordPiece tokenizer as Transformers and `tokenizers` read and write them."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

from keras_tx.files import whole_file
from keras_tx.text.core import files as tokenizer_files
from keras_tx.text.core.classes import TokenizerClass, class_name
from keras_tx.text.core.files import JSON, content_of
from keras_tx.text.core.locate import WORDPIECE_VOCABULARY
from keras_tx.text.core.post_processor import read_template
from keras_tx.text.core.template import BERT, ROBERTA, Template
from keras_tx.text.graph.longest_match import PREFIX
from keras_tx.text.graph.unicode import BertNormalization

_SETTINGS = {
    "do_lower_case": "lowercase",
    "tokenize_chinese_chars": "handle_chinese_chars",
    "strip_accents": "strip_accents",
}
"""The options of the normalization by their names in `tokenizer_config.json`."""

_BERT = TokenizerClass(
    roles={
        **{"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]"},
        **{"cls_token": "[CLS]", "mask_token": "[MASK]"},
    },
    template=BERT,
)
_AS_BERT = (
    "BertTokenizer",
    "ConvBertTokenizer",
    "DPRContextEncoderTokenizer",
    "DPRQuestionEncoderTokenizer",
    "ElectraTokenizer",
    "LayoutLMTokenizer",
    "LxmertTokenizer",
    "MobileBertTokenizer",
    "RealmTokenizer",
    "RetriBertTokenizer",
    "SqueezeBertTokenizer",
)
_OF_ONE_TYPE = ("input_ids", "attention_mask")
_FAIRSEQ = {"bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>", "mask_token": "<mask>"}

CLASSES = {
    **dict.fromkeys(_AS_BERT, _BERT),
    "DistilBertTokenizer": replace(_BERT, model_input_names=_OF_ONE_TYPE),
    "DPRReaderTokenizer": replace(_BERT, model_input_names=_OF_ONE_TYPE),
    "MPNetTokenizer": TokenizerClass(
        roles={**_FAIRSEQ, "unk_token": "[UNK]", "pad_token": "<pad>"},
        template=ROBERTA,
        mask_takes_blanks=True,
        model_input_names=_OF_ONE_TYPE,
    ),
    "FunnelTokenizer": TokenizerClass(
        roles={
            **{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "<sep>"},
            **{"pad_token": "<pad>", "cls_token": "<cls>", "mask_token": "<mask>"},
        },
        template=("<cls>:2 $A <sep>", "<cls>:2 $A <sep> $B:1 <sep>:1"),
    ),
}
"""Transformers' classes of WordPiece, by name."""


def read(directory: Path) -> dict[str, Any]:
    """The arguments of `WordPieceTokenizer` from a directory.

    What `tokenizer_config.json` says of the normalization counts before `tokenizer.json`, and so do the defaults of the
    class where it says nothing, as they do for Transformers.

    Raises:
        ValueError: if files are missing or damaged, or of a tokenizer that we do not have.
    """
    arguments, settings = tokenizer_files.read(directory, parse, _read_plain, CLASSES, lambda _: "BertTokenizer")
    normalization = asdict(BertNormalization()) if class_name(directory) in CLASSES else arguments
    said = {
        option: settings.get(setting, normalization.get(option))
        for setting, option in _SETTINGS.items()
        if setting in settings or option in normalization
    }
    return {**arguments, **said, "clean_up": bool(settings.get("clean_up_tokenization_spaces", False))}


def parse(content: JSON) -> dict[str, Any]:
    """The arguments of `WordPieceTokenizer` from what `tokenizer.json` holds.

    Raises:
        ValueError: for whatever would give other ids here.
    """
    model, split, normalizer = (content.get(part) or {} for part in ("model", "pre_tokenizer", "normalizer"))
    _require(model.get("type", "WordPiece") == "WordPiece" and "merges" not in model, "model", model.get("type"))
    prefix = model.get("continuing_subword_prefix", PREFIX)
    _require(prefix == PREFIX, "model's `continuing_subword_prefix`", prefix)
    _require(split.get("type") == "BertPreTokenizer", "pre-tokenizer", split)
    return {
        "vocab": model["vocab"],
        "unk_token": model["unk_token"],
        "max_input_chars_per_word": model.get("max_input_chars_per_word", 100),
        **asdict(BertNormalization.parse(normalizer)),
        "added_tokens": tokenizer_files.read_added_tokens(content),
        "template": read_template(content.get("post_processor")),
    }


def _read_plain(directory: Path, settings: JSON, name: str | None) -> tuple[dict[str, Any], str]:
    """Reads `vocab.txt`."""
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
    for i, token in enumerate(lines):  # of equal lines the last counts; no text has what stands for the others
        if vocab[token] != i:
            vocab[f"[repeated{i}]"] = i
    name = name if name in CLASSES else "BertTokenizer"
    unknown = content_of(settings.get("unk_token", CLASSES[name].roles["unk_token"]))
    if unknown not in vocab:
        raise ValueError(f"{path} has no token {unknown!r}, which stands for unknown words.")
    return {"vocab": vocab, "unk_token": unknown}, name


class WordPiece(tokenizer_files.Written, Protocol):
    """The attributes of a WordPiece tokenizer that its files hold."""

    unk_token: str
    max_input_chars_per_word: int
    normalization: BertNormalization
    clean_up: bool
    cls_token_id: int | None
    sep_token_id: int | None


def write(tokenizer: WordPiece, directory: Path) -> None:
    """Writes a tokenizer for Transformers and for `read`."""
    with whole_file(directory / WORDPIECE_VOCABULARY) as partial:
        tokens = sorted(tokenizer.vocab, key=tokenizer.vocab.__getitem__)
        partial.write_text("\n".join(tokens) + "\n", encoding="utf-8")
    normalization = asdict(tokenizer.normalization)
    config = {setting: normalization[option] for setting, option in _SETTINGS.items()}
    config |= {"clean_up_tokenization_spaces": tokenizer.clean_up, "tokenizer_class": _class(tokenizer)}
    tokenizer_files.write(tokenizer, directory, compose(tokenizer), config)


def _class(tokenizer: WordPiece) -> str:
    """The class of Transformers' that gives the same ids."""
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    if tokenizer.normalization.nfkc or cls is None or sep is None:
        return "PreTrainedTokenizerFast"
    bert = tokenizer.template == Template.parse(*BERT, {"[CLS]": cls, "[SEP]": sep})
    return "BertTokenizer" if bert else "PreTrainedTokenizerFast"


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
        normalizer=tokenizer.normalization.content(),
        pre_tokenizer={"type": "BertPreTokenizer"},
        decoder={"type": "WordPiece", "prefix": PREFIX, "cleanup": True},
        model=model,
    )


def _require(condition: object, what: str, value: object) -> None:
    if not condition:
        raise ValueError(f"the {what} {value!r} is not BERT's: it would give other ids than it should.")
