"""ALBERT as Transformers keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_tx.convert.family import ACTIVATIONS, Family, Setting
from keras_tx.convert.table import Rule, linear, norm, prefixed, same
from keras_tx.models.bert.huggingface import (
    CHOICE,
    CLASSIFIER,
    FIXED,
    SETTINGS,
    SPAN,
    START_AND_END,
    TIED,
    dims,
    embeddings,
    head,
)

_BLOCK = [
    *linear("attention.query", "D D", "attention/query"),
    *linear("attention.key", "D D", "attention/key"),
    *linear("attention.value", "D D", "attention/value"),
    *linear("attention.dense", "D D", "attention/output"),
    *norm("attention.LayerNorm", "D", "attention_norm"),
    *linear("ffn", "F D", "feed_forward/up"),
    *linear("ffn_output", "D F", "feed_forward/down"),
    *norm("full_layer_layer_norm", "D", "feed_forward_norm"),
]
_POOLER = linear("albert.pooler", "D D", "backbone/pooler")
_MASKED_TOKENS = [
    *linear("predictions.dense", "E D", "head/transform"),
    *norm("predictions.LayerNorm", "E", "head/transform_norm"),
    same("predictions.bias", "V", "head/output_bias", copies=("predictions.decoder.bias",)),
]
_SENTENCE_ORDER = linear("sop_classifier.classifier", "2 D", "head/seq_relationship")
_OTHER_DEFAULTS = ("d_model", "num_heads", "d_ff", "activation", "hidden_dropout", "attention_dropout")


def _backbone(fields: Mapping[str, Any]) -> list[Rule]:
    inner = fields["blocks_per_group"]
    blocks = [
        rule
        for group in range(fields["num_groups"])
        for i in range(inner)
        for rule in prefixed(
            f"albert.encoder.albert_layer_groups.{group}.albert_layers.{i}.",
            f"backbone/block_{group * inner + i}/",
            _BLOCK,
        )
    ]
    return [
        *embeddings(fields, "albert.", "predictions.decoder.weight"),
        *linear("albert.encoder.embedding_hidden_mapping_in", "D E", "backbone/embedding_projection"),
        *blocks,
    ]


def _renamed(tensors: Mapping[str, Any]) -> Mapping[str, Any]:
    """TensorFlow's class has two biases, and reads one of them."""
    if "predictions.decoder.bias" not in tensors:
        return tensors
    return {name: tensor for name, tensor in tensors.items() if name != "predictions.bias"}


def _normalized(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {**fields, "embedding_dim": fields["embedding_dim"] or fields["d_model"]}


FAMILIES = (
    Family(
        model_type="albert",
        prefix="albert.",
        settings=(
            Setting("vocab_size", "vocab_size", 30000),
            Setting("embedding_size", "embedding_dim", 128),
            Setting("hidden_size", "d_model", 4096),
            Setting("num_hidden_groups", "num_groups", 1),
            Setting("inner_group_num", "blocks_per_group", 1),
            Setting("num_attention_heads", "num_heads", 64),
            Setting("intermediate_size", "d_ff", 16384),
            Setting("hidden_act", "activation", "gelu_new", names=ACTIVATIONS),
            Setting("hidden_dropout_prob", "hidden_dropout", 0.0),
            Setting("attention_probs_dropout_prob", "attention_dropout", 0.0),
            Setting("classifier_dropout_prob", "classifier_dropout", 0.1),
            Setting("pad_token_id", "pad_token_id", 0),
            Setting("bos_token_id", "bos_token_id", 2),
            Setting("eos_token_id", "eos_token_id", 3),
            *(setting for setting in SETTINGS if setting.field not in (*_OTHER_DEFAULTS, "classifier_dropout")),
        ),
        fixed={name: value for name, value in FIXED.items() if name != "embedding_dim"},
        required={"position_embedding_type": "absolute"},
        dims=dims,
        backbone=_backbone,
        heads={
            "AlbertModel": head("AlbertModel", _POOLER),
            "AlbertBackbone": head("AlbertModel", _POOLER, alone=True),
            "AlbertForPreTraining": head(
                "AlbertForPreTraining",
                [*_MASKED_TOKENS, *_POOLER, *_SENTENCE_ORDER],
                required=TIED,
                peer_fields=START_AND_END,
            ),
            "AlbertForMaskedLM": head("AlbertForMaskedLM", _MASKED_TOKENS, required=TIED),
            "AlbertForSequenceClassification": head("AlbertForSequenceClassification", [*_POOLER, *CLASSIFIER]),
            "AlbertForTokenClassification": head("AlbertForTokenClassification", CLASSIFIER),
            "AlbertForQuestionAnswering": head("AlbertForQuestionAnswering", SPAN, peer_fields=START_AND_END),
            "AlbertForMultipleChoice": head("AlbertForMultipleChoice", [*_POOLER, *CHOICE]),
        },
        normalized=_normalized,
        ignored=(r"(albert\.)?embeddings\.position_ids",),
        renamed=_renamed,
    ),
)
