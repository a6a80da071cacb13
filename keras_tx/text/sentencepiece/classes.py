"""Transformers' tokenizer classes that read models of SentencePiece, and how each numbers a model's pieces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keras_tx.text.core.classes import TokenizerClass
from keras_tx.text.core.template import BERT, ROBERTA, T5
from keras_tx.text.graph.normalizers import EachCharacter, Normalizer, Replace
from keras_tx.text.sentencepiece import proto


@dataclass(frozen=True, kw_only=True)
class SentencePieceClass(TokenizerClass):
    """The defaults of a class that reads a model of SentencePiece."""

    model_type: int = proto.UNIGRAM
    """The type of its models."""

    first: tuple[str, ...] = ()
    """The tokens that have the first ids, in place of some of the model's."""

    replaced: int = 0
    """How many pieces of the model `first` stands for."""

    last: tuple[str, ...] = ()
    """The tokens that follow the model's pieces."""


_FAIRSEQ = {
    **{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>"},
    **{"pad_token": "<pad>", "cls_token": "<s>", "mask_token": "<mask>"},
}
_BERT = {
    **{"bos_token": "[CLS]", "eos_token": "[SEP]", "sep_token": "[SEP]"},
    **{"cls_token": "[CLS]", "mask_token": "[MASK]"},
}
_T5 = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}

CLASSES = {
    "T5Tokenizer": SentencePieceClass(roles=_T5, template=T5),
    "XLMRobertaTokenizer": SentencePieceClass(
        roles=_FAIRSEQ,
        template=ROBERTA,
        mask_takes_blanks=True,
        first=("<s>", "<pad>", "</s>", "<unk>"),
        replaced=3,
        last=("<mask>",),
    ),
    "CamembertTokenizer": SentencePieceClass(
        roles=_FAIRSEQ,
        template=ROBERTA,
        mask_takes_blanks=True,
        first=("<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED"),
        replaced=1,
        last=("<mask>",),
    ),
    "AlbertTokenizer": SentencePieceClass(
        roles={**_BERT, "unk_token": "<unk>", "pad_token": "<pad>"},
        template=BERT,
        mask_takes_blanks=True,
        model_input_names=("input_ids", "token_type_ids", "attention_mask"),
    ),
    "LlamaTokenizer": SentencePieceClass(
        roles={"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
        add_bos_token=True,
        model_type=proto.BPE,
        padding_side="left",
    ),
    "BigBirdTokenizer": SentencePieceClass(
        roles={
            **{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "[SEP]"},
            **{"pad_token": "<pad>", "cls_token": "[CLS]", "mask_token": "[MASK]"},
        },
        plain=False,
    ),
    "DebertaV2Tokenizer": SentencePieceClass(
        roles={**_BERT, "unk_token": "[UNK]", "pad_token": "[PAD]"},
        model_input_names=("input_ids", "attention_mask", "token_type_ids"),
        plain=False,
    ),
    "GemmaTokenizer": SentencePieceClass(
        roles={"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"},
        padding_side="left",
        plain=False,
    ),
    "MBartTokenizer": SentencePieceClass(roles=_FAIRSEQ, plain=False),
    "PegasusTokenizer": SentencePieceClass(roles={**_T5, "mask_token": "<mask_2>"}, plain=False),
    "RemBertTokenizer": SentencePieceClass(roles={**_BERT, "unk_token": "<unk>", "pad_token": "<pad>"}, plain=False),
    "XLNetTokenizer": SentencePieceClass(
        roles={**_FAIRSEQ, "sep_token": "<sep>", "cls_token": "<cls>"}, padding_side="left", plain=False
    ),
}
"""The classes by name."""

LIKELY = {proto.UNIGRAM: "T5Tokenizer", proto.BPE: "LlamaTokenizer"}
"""The classes of models of each type, for directories that name none."""


def class_normalizers(name: str, settings: Mapping[str, Any]) -> tuple[Normalizer, ...]:
    """Returns the steps that a class has before the model's own rules."""
    if name != "AlbertTokenizer":
        return ()
    steps: list[Normalizer] = [Replace("``", '"'), Replace("''", '"')]
    if not settings.get("keep_accents", False):
        steps += [EachCharacter("NFKD"), EachCharacter("StripAccents")]
    if settings.get("do_lower_case", True):
        steps.append(EachCharacter("Lowercase"))
    return tuple(steps)
