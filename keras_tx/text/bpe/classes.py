"""Transformers' tokenizer classes of byte-pair encoding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from keras_tx.text.core.classes import TokenizerClass
from keras_tx.text.core.template import BERT, ROBERTA, T5

WordRule = Literal["gpt2", "cl100k"]
Errors = Literal["replace", "ignore"]

WORD_END = "</w>"
"""GPT-1's suffix of what ends a word."""

BYT5_SENTINELS = 125
"""The number of ByT5's tokens that stand for spans left out of a text."""


@dataclass(frozen=True, kw_only=True)
class BPEClass(TokenizerClass):
    """The defaults of a class of byte-pair encoding."""

    byte_level: bool = True
    """Whether tokens are of bytes, as GPT-2's, or of characters, as GPT-1's."""

    add_prefix_space: bool = False
    """Whether a space is put before text that does not begin with one, whatever `tokenizer.json` says."""


_GPT2 = BPEClass(roles=dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>"))
_ROBERTA = BPEClass(
    roles={
        **{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>"},
        **{"pad_token": "<pad>", "cls_token": "<s>", "mask_token": "<mask>"},
    },
    template=ROBERTA,
    mask_takes_blanks=True,
)
_DEBERTA = BPEClass(
    roles={
        **{"bos_token": "[CLS]", "eos_token": "[SEP]", "unk_token": "[UNK]", "sep_token": "[SEP]"},
        **{"pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]"},
    },
    template=BERT,
    mask_takes_blanks=True,
    model_input_names=("input_ids", "attention_mask", "token_type_ids"),
)

CLASSES = {
    "GPT2Tokenizer": _GPT2,
    "CodeGenTokenizer": _GPT2,
    "OpenAIGPTTokenizer": BPEClass(roles={"unk_token": "<unk>"}, byte_level=False),
    "RobertaTokenizer": _ROBERTA,
    "BartTokenizer": _ROBERTA,
    "LEDTokenizer": _ROBERTA,
    "LongformerTokenizer": _ROBERTA,
    "MvpTokenizer": _ROBERTA,
    "DebertaTokenizer": _DEBERTA,
    "ByT5Tokenizer": BPEClass(roles={"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}, template=T5),
    "BlenderbotTokenizer": replace(_ROBERTA, add_prefix_space=True, plain=False),
    "GPTNeoXTokenizer": BPEClass(roles={**_GPT2.roles, "pad_token": "<|padding|>"}, plain=False),
    "LlamaTokenizer": BPEClass(roles={}, plain=False, padding_side="left"),  # Llama 3's, with the name of Llama 2's
    "Qwen2Tokenizer": BPEClass(roles=dict.fromkeys(("eos_token", "pad_token"), "<|endoftext|>"), plain=False),
    "WhisperTokenizer": replace(_GPT2, plain=False),
}
"""The classes by name."""


def likely_class(vocab: Mapping[str, int]) -> str | None:
    """Returns the class that a vocabulary is likely of, told by its special tokens and by how it ends words."""
    if "<|endoftext|>" in vocab:
        return "GPT2Tokenizer"
    if vocab.keys() >= {"<s>", "</s>", "Ġ"}:
        return "RobertaTokenizer"
    return "OpenAIGPTTokenizer" if any(token.endswith(WORD_END) for token in vocab) else None
