"""DeBERTa, version 2 and 3, as Transformers keeps it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_tx.convert.family import ACTIVATIONS, Family, Head, Setting
from keras_tx.convert.table import Rule, convolution, linear, norm, prefixed, same, transposed
from keras_tx.models.bert.huggingface import (
    BLOCK,
    CHOICE,
    CLASSIFIER,
    FIXED,
    SETTINGS,
    SPAN,
    START_AND_END,
    TIED,
    dims,
    head,
)

_BLOCK = [
    *linear("attention.self.query_proj", "D D", "attention/query"),
    *linear("attention.self.key_proj", "D D", "attention/key"),
    *linear("attention.self.value_proj", "D D", "attention/value"),
    *(rule for rule in BLOCK if not rule.tensor.startswith("attention.self.")),
]


def _positions(name: str, old: str, own: str) -> list[Rule]:
    """The rules of a map of relative positions; TensorFlow's class has the name of version 1 for it."""
    rules = linear(f"attention.self.{name}", "D D", f"attention/{own}")
    return [dataclasses.replace(rule, copies=(rule.tensor.replace(name, old),)) for rule in rules]


_POSITIONS = {
    "c2p": _positions("pos_key_proj", "pos_proj", "position_key"),
    "p2c": _positions("pos_query_proj", "pos_q_proj", "position_query"),
}
_CONVOLUTION = [
    *convolution("conv.conv", "D D C", "convolution"),
    *norm("conv.LayerNorm", "D", "convolution_norm"),
]
_RELATIVE = [same("deberta.encoder.rel_embeddings.weight", "R D", "backbone/relative_embedding/embeddings")]
_FIRST_TOKEN = linear("pooler.dense", "D D", "head/hidden")


def _backbone(fields: Mapping[str, Any]) -> list[Rule]:
    size, relative = _dims(fields), fields["relative_attention"]
    of_positions = fields["pos_att_type"] if relative and not fields["share_att_key"] else ()
    block = [*_BLOCK, *(rule for term in of_positions for rule in _POSITIONS[term])]
    rules = [
        *([same("token_type_embeddings.weight", "K E", "token_type_embedding/embeddings")] if size["K"] else ()),
        *(
            [same("position_embeddings.weight", "P E", "position_embedding/embeddings")]
            if fields["position_biased_input"]
            else ()
        ),
        *([transposed("embed_proj.weight", "D E", "embedding_projection/kernel")] if size["E"] != size["D"] else ()),
        *norm("LayerNorm", "D", "embedding_norm"),
    ]
    return [
        same(
            "deberta.embeddings.word_embeddings.weight",
            "V E",
            "backbone/token_embedding/embeddings",
            copies=("cls.predictions.decoder.weight",) if fields["tie_embeddings"] else (),
        ),
        *prefixed("deberta.embeddings.", "backbone/", rules),
        *(_RELATIVE if relative else ()),
        *(norm("deberta.encoder.LayerNorm", "D", "backbone/relative_norm") if _normalizes(fields) else ()),
        *(prefixed("deberta.encoder.", "backbone/block_0/", _CONVOLUTION) if fields["conv_kernel_size"] else ()),
        *(
            rule
            for i in range(fields["num_layers"])
            for rule in prefixed(f"deberta.encoder.layer.{i}.", f"backbone/block_{i}/", block)
        ),
    ]


def _normalizes(fields: Mapping[str, Any]) -> bool:
    return fields["relative_attention"] and fields["norm_relative_embeddings"]


def _masked_tokens(fields: Mapping[str, Any]) -> list[Rule]:
    copies: tuple[str, ...] = ()
    if fields["legacy"]:
        transform, bias, copies = "cls.predictions.transform", "cls.predictions.bias", ("cls.predictions.decoder.bias",)
    else:
        transform, bias = "lm_predictions.lm_head", "lm_predictions.lm_head.bias"
    return [
        *linear(f"{transform}.dense", "E D", "head/transform"),
        *norm(f"{transform}.LayerNorm", "E", "head/transform_norm"),
        same(bias, "V", "head/output_bias", copies=copies),
    ]


def _dims(fields: Mapping[str, Any]) -> dict[str, int]:
    rows = fields["position_buckets"] or fields["max_relative_positions"] or fields["max_positions"]
    return {**dims(fields), "R": 2 * rows, "C": fields["conv_kernel_size"] or 0}


def _inferred(config: Mapping[str, Any]) -> dict[str, Any]:
    """Of entries that say none in several ways; those that are no choice are looked at."""
    width = config.get("hidden_size", 1536)
    required = {
        "attention_head_size": width // config.get("num_attention_heads", 24),
        "pooler_hidden_size": width,
    }
    for name, value in required.items():
        if config.get(name, value) != value:
            raise ValueError(
                f"the config says {name}={config[name]!r}, which does not fit hidden_size={width}: it must be {value}."
            )
    terms = config.get("pos_att_type") or ()
    terms = [term.strip() for term in terms.lower().split("|") if term] if isinstance(terms, str) else terms
    norms = config.get("norm_rel_ebd", "none").lower().split("|")
    embedded = config.get("embedding_size", width)
    return {
        "embedding_dim": None if embedded == width else embedded,
        "pos_att_type": tuple(dict.fromkeys(terms)),
        "norm_relative_embeddings": "layer_norm" in [norm.strip() for norm in norms],
        **{name: _above_0(config.get(name)) for name in _OR_NONE},
    }


_OR_NONE = {"max_relative_positions": -1, "position_buckets": -1, "conv_kernel_size": 0}
"""Entries and fields that may be none, with the entry for that."""


def _above_0(value: int | None) -> int | None:
    return value if value is not None and value > 0 else None


def _derived(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "embedding_size": fields["embedding_dim"] or fields["d_model"],
        "pos_att_type": list(fields["pos_att_type"]),
        "norm_rel_ebd": "layer_norm" if _normalizes(fields) else "none",
        "pooler_hidden_size": fields["d_model"],
        **{name: fields[name] or none for name, none in _OR_NONE.items()},
    }


def _legacy(fields: Mapping[str, Any], tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Which masked language model's head a file has; the published models' configs do not say it."""
    old, new = "cls.predictions.bias" in tensors, "lm_predictions.lm_head.bias" in tensors
    return {"legacy": old} if old != new else {}


_DEFAULTS = {
    "type_vocab_size": 0,
    "num_layers": 24,
    "num_heads": 24,
    "d_model": 1536,
    "d_ff": 6144,
    "norm_epsilon": 1e-7,
}

FAMILIES = (
    Family(
        model_type="deberta-v2",
        prefix="deberta.",
        settings=(
            Setting("vocab_size", "vocab_size", 128100),
            Setting("pad_token_id", "pad_token_id", 0),
            Setting("bos_token_id", "bos_token_id", None),
            Setting("eos_token_id", "eos_token_id", None),
            Setting("relative_attention", "relative_attention", False),
            Setting("share_att_key", "share_att_key", False),
            Setting("position_biased_input", "position_biased_input", True),
            Setting("conv_act", "conv_activation", "tanh", names=ACTIVATIONS),
            Setting("pooler_hidden_act", "pooler_activation", "gelu", names=ACTIVATIONS),
            Setting("pooler_dropout", "pooler_dropout", 0.0),
            Setting("cls_dropout", "classifier_dropout", None),
            Setting("legacy", "legacy", True),
            *(
                dataclasses.replace(setting, default=_DEFAULTS.get(setting.field, setting.default))
                for setting in SETTINGS
                if setting.field != "classifier_dropout"
            ),
        ),
        fixed={name: value for name, value in FIXED.items() if name != "embedding_dim"},
        required={"conv_groups": 1},
        tensorflow={"legacy": True},
        dims=_dims,
        backbone=_backbone,
        heads={
            "DebertaV2Model": head("DebertaV2Model", []),
            "DebertaV2Backbone": head("DebertaV2Model", [], alone=True),
            "DebertaV2ForMaskedLM": Head("DebertaV2ForMaskedLM", _masked_tokens, required=TIED),
            "DebertaV2ForSequenceClassification": head(
                "DebertaV2ForSequenceClassification", [*_FIRST_TOKEN, *CLASSIFIER]
            ),
            "DebertaV2ForTokenClassification": head("DebertaV2ForTokenClassification", CLASSIFIER),
            "DebertaV2ForQuestionAnswering": head("DebertaV2ForQuestionAnswering", SPAN, peer_fields=START_AND_END),
            "DebertaV2ForMultipleChoice": head("DebertaV2ForMultipleChoice", [*_FIRST_TOKEN, *CHOICE]),
        },
        inferred=_inferred,
        derived=_derived,
        from_tensors=_legacy,
        ignored=(r"(deberta\.)?embeddings\.position_ids",),
        left_out=(
            r"mask_predictions\..*",
            r"(deberta\.)?embeddings\.position_embeddings\.weight",
            r"(deberta\.)?encoder\.LayerNorm\.(weight|bias)",
        ),
    ),
)
