"""MPNet as Transformers keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_tx.convert.family import Family, Setting
from keras_tx.convert.table import Rule, linear, norm, same
from keras_tx.models.bert.huggingface import (
    CHOICE,
    CLASSIFIER,
    FIXED,
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

_BLOCK = [
    *linear("attention.attn.q", "D D", "attention/query"),
    *linear("attention.attn.k", "D D", "attention/key"),
    *linear("attention.attn.v", "D D", "attention/value"),
    *linear("attention.attn.o", "D D", "attention/output"),
    *norm("attention.LayerNorm", "D", "attention_norm"),
    *linear("intermediate.dense", "F D", "feed_forward/up"),
    *linear("output.dense", "D F", "feed_forward/down"),
    *norm("output.LayerNorm", "D", "feed_forward_norm"),
]
_ENCODER = encoder("mpnet.", "lm_head.decoder.weight", block=_BLOCK)
_POOLER = pooler("mpnet.")


def _dims(fields: Mapping[str, Any]) -> dict[str, int]:
    return {**dims(fields), "B": fields["bucket_rows"], "H": fields["num_heads"]}


def _backbone(fields: Mapping[str, Any]) -> list[Rule]:
    bias = same("mpnet.encoder.relative_attention_bias.weight", "B H", "backbone/position_bias/table")
    return [*_ENCODER(fields), bias]


FAMILIES = (
    Family(
        model_type="mpnet",
        prefix="mpnet.",
        settings=(
            Setting("vocab_size", "vocab_size", 30527),
            Setting("relative_attention_num_buckets", "bucket_rows", 32),
            Setting("pad_token_id", "pad_token_id", 1),
            Setting("bos_token_id", "bos_token_id", 0),
            Setting("eos_token_id", "eos_token_id", 2),
            *(setting for setting in SETTINGS if setting.field not in ("type_vocab_size", "classifier_dropout")),
        ),
        fixed={**FIXED, "type_vocab_size": 0, "classifier_dropout": None},
        required={},
        dims=_dims,
        backbone=_backbone,
        heads={
            "MPNetModel": head("MPNetModel", _POOLER),
            "MPNetBackbone": head("MPNetModel", _POOLER, alone=True),
            "MPNetForMaskedLM": head("MPNetForMaskedLM", MASKED_TOKENS, required=TIED),
            "MPNetForSequenceClassification": head("MPNetForSequenceClassification", FIRST_TOKEN),
            "MPNetForTokenClassification": head("MPNetForTokenClassification", CLASSIFIER),
            "MPNetForQuestionAnswering": head("MPNetForQuestionAnswering", SPAN, peer_fields=START_AND_END),
            "MPNetForMultipleChoice": head("MPNetForMultipleChoice", [*_POOLER, *CHOICE]),
        },
        ignored=(r"(mpnet\.)?embeddings\.position_ids",),
    ),
)
