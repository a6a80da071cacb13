"""ELECTRA as Transformers keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_tx.convert.family import Family, Setting
from keras_tx.convert.table import Rule, linear, norm, same
from keras_tx.models.bert.huggingface import (
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
)

_ENCODER = encoder("electra.", "generator_lm_head.weight")
_REPLACED = [
    *linear("discriminator_predictions.dense", "D D", "head/hidden"),
    *linear("discriminator_predictions.dense_prediction", "1 D", "head/classifier"),
]
_MASKED_TOKENS = [
    *linear("generator_predictions.dense", "E D", "head/transform"),
    *norm("generator_predictions.LayerNorm", "E", "head/transform_norm"),
    same("generator_lm_head.bias", "V", "head/output_bias"),
]
_FIRST_TOKEN = [
    *linear("classifier.dense", "D D", "head/hidden"),
    *linear("classifier.out_proj", "N D", "head/classifier"),
]
_SUMMARY = linear("sequence_summary.summary", "D D", "head/hidden")
_SUMMARY_OF_FIRST = {"summary_type": "first", "summary_use_proj": True}


def _backbone(fields: Mapping[str, Any]) -> list[Rule]:
    size = dims(fields)
    projection = linear("electra.embeddings_project", "D E", "backbone/embedding_projection")
    return [*_ENCODER(fields), *(projection if size["E"] != size["D"] else ())]


def _normalized(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {**fields, "embedding_dim": fields["embedding_dim"] or fields["d_model"]}


FAMILIES = (
    Family(
        model_type="electra",
        prefix="electra.",
        settings=(
            Setting("vocab_size", "vocab_size", 30522),
            Setting("embedding_size", "embedding_dim", 128),
            Setting("hidden_size", "d_model", 256),
            Setting("num_attention_heads", "num_heads", 4),
            Setting("intermediate_size", "d_ff", 1024),
            Setting("pad_token_id", "pad_token_id", 0),
            Setting("bos_token_id", "bos_token_id", None),
            Setting("eos_token_id", "eos_token_id", None),
            Setting("summary_activation", "summary_activation", "gelu", names={"": None}),
            Setting("summary_last_dropout", "summary_dropout", 0.1),
            *(setting for setting in SETTINGS if setting.field not in ("d_model", "num_heads", "d_ff")),
        ),
        fixed={name: value for name, value in FIXED.items() if name != "embedding_dim"},
        required=REQUIRED,
        dims=dims,
        backbone=_backbone,
        heads={
            "ElectraModel": head("ElectraModel", []),
            "ElectraBackbone": head("ElectraModel", [], alone=True),
            "ElectraForPreTraining": head("ElectraForPreTraining", _REPLACED),
            "ElectraForMaskedLM": head("ElectraForMaskedLM", _MASKED_TOKENS, required=TIED),
            "ElectraForSequenceClassification": head("ElectraForSequenceClassification", _FIRST_TOKEN),
            "ElectraForTokenClassification": head("ElectraForTokenClassification", CLASSIFIER),
            "ElectraForQuestionAnswering": head("ElectraForQuestionAnswering", SPAN, peer_fields=START_AND_END),
            "ElectraForMultipleChoice": head(
                "ElectraForMultipleChoice", [*_SUMMARY, *CHOICE], required=_SUMMARY_OF_FIRST
            ),
        },
        normalized=_normalized,
        derived=lambda fields: _SUMMARY_OF_FIRST,
        ignored=(r"(electra\.)?embeddings\.position_ids",),
    ),
)
