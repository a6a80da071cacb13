"""Longformer as Transformers keeps it."""

from __future__ import annotations

from keras_tx.convert.family import Family, Setting
from keras_tx.convert.table import linear
from keras_tx.models.bert.huggingface import (
    BLOCK,
    CHOICE,
    CLASSIFIER,
    FIXED,
    REQUIRED,
    SETTINGS,
    SPAN,
    START_AND_END,
    TIED,
    dims,
    encoder,
    head,
    pooler,
)
from keras_tx.models.roberta.huggingface import FIRST_TOKEN, MASKED_TOKENS

_GLOBAL = [
    rule
    for name in ("query_global", "key_global", "value_global")
    for rule in linear(f"attention.self.{name}", "D D", f"attention/{name}")
]
_POOLER = pooler("longformer.")

FAMILIES = (
    Family(
        model_type="longformer",
        prefix="longformer.",
        settings=(
            Setting("vocab_size", "vocab_size", 30522),
            Setting("pad_token_id", "pad_token_id", 1),
            Setting("bos_token_id", "bos_token_id", 0),
            Setting("eos_token_id", "eos_token_id", 2),
            Setting("sep_token_id", "sep_token_id", 2),
            Setting("attention_window", "attention_window", 512),
            Setting("max_global_tokens", "max_global_tokens", None),  # ours alone; Transformers passes it over
            *(setting for setting in SETTINGS if setting.field != "classifier_dropout"),
        ),
        fixed={**FIXED, "classifier_dropout": None},
        required=REQUIRED,
        dims=dims,
        backbone=encoder("longformer.", "lm_head.decoder.weight", block=[*BLOCK, *_GLOBAL]),
        heads={
            "LongformerModel": head("LongformerModel", _POOLER),
            "LongformerBackbone": head("LongformerModel", _POOLER, alone=True),
            "LongformerForMaskedLM": head("LongformerForMaskedLM", MASKED_TOKENS, required=TIED),
            "LongformerForSequenceClassification": head("LongformerForSequenceClassification", FIRST_TOKEN),
            "LongformerForTokenClassification": head("LongformerForTokenClassification", CLASSIFIER),
            "LongformerForQuestionAnswering": head("LongformerForQuestionAnswering", SPAN, peer_fields=START_AND_END),
            "LongformerForMultipleChoice": head("LongformerForMultipleChoice", [*_POOLER, *CHOICE]),
        },
        tensorflow={"pad_token_id": 1},  # always, where torch counts positions without the config's
        ignored=(r"(longformer\.)?embeddings\.position_ids",),
    ),
)
