"""ESM as Transformers keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_tx.convert.family import Family, Head, Setting
from keras_tx.convert.table import Rule, linear, norm, prefixed, same
from keras_tx.models.bert.huggingface import CLASSIFIER, FIXED, REQUIRED, SETTINGS, TIED, dims, pooler
from keras_tx.models.roberta.huggingface import FIRST_TOKEN, MASKED_TOKENS

_BLOCK = [
    *norm("attention.LayerNorm", "D", "attention_norm"),
    *linear("attention.self.query", "D D", "attention/query"),
    *linear("attention.self.key", "D D", "attention/key"),
    *linear("attention.self.value", "D D", "attention/value"),
    *linear("attention.output.dense", "D D", "attention/output"),
    *norm("LayerNorm", "D", "feed_forward_norm"),
    *linear("intermediate.dense", "F D", "feed_forward/up"),
    *linear("output.dense", "D F", "feed_forward/down"),
]
_CONTACTS = linear("esm.contact_head.regression", "1 M", "backbone/contact_head")
_OTHER_DEFAULTS = ("max_positions", "type_vocab_size", "activation", "classifier_dropout")


def _dims(fields: Mapping[str, Any]) -> dict[str, int]:
    heads, layers = fields["num_heads"], fields["num_layers"]
    return {**dims(fields), "M": layers * heads, "T": fields["d_model"] // heads // 2}


def _backbone(fields: Mapping[str, Any]) -> list[Rule]:
    table = same("position_embeddings.weight", "P E", "position_embedding/embeddings")
    embeddings = [
        same("word_embeddings.weight", "V E", "token_embedding/embeddings"),
        *([table] if fields["positions"] == "learned" else []),
        *(norm("layer_norm", "E", "embedding_norm") if fields["embedding_norm"] else []),
    ]
    blocks = [
        rule
        for i in range(fields["num_layers"])
        for rule in prefixed(f"esm.encoder.layer.{i}.", f"backbone/block_{i}/", _BLOCK)
    ]
    return [
        *prefixed("esm.embeddings.", "backbone/", embeddings),
        *blocks,
        *norm("esm.encoder.emb_layer_norm_after", "D", "backbone/final_norm"),
    ]


def _frequencies(fields: Mapping[str, Any]) -> list[Rule]:
    if fields["positions"] == "learned":
        return []
    layers = ("*", *range(fields["num_layers"]))  # before version 5 each has its own; version 5 may write the star
    copies = tuple(f"esm.encoder.layer.{i}.attention.self.rotary_embeddings.inv_freq" for i in layers)
    return [same("esm.rotary_embeddings.inv_freq", "T", "backbone/rotary/inv_freq", copies=copies)]


def _head(architecture: str, rules: list[Rule], **options: Any) -> Head:
    """A head, with what every model of the peer has, and some checkpoints lack."""
    return Head(architecture, lambda fields: [*rules, *_frequencies(fields), *_CONTACTS], **options)


def _renamed(tensors: Mapping[str, Any]) -> Mapping[str, Any]:
    """Models with rotary embeddings may have a table of positions, too, that nothing reads."""
    if not any(name.endswith(".inv_freq") for name in tensors):
        return tensors
    return {name: tensor for name, tensor in tensors.items() if not name.endswith("position_embeddings.weight")}


FAMILIES = (
    Family(
        model_type="esm",
        prefix="esm.",
        settings=(
            Setting("vocab_size", "vocab_size", 33),
            Setting("max_position_embeddings", "max_positions", 1026),
            Setting(
                "position_embedding_type",
                "positions",
                "absolute",
                names={"absolute": "learned", "rotary": "rotary"},
                closed=True,
            ),
            Setting("rope_theta", "rope_theta", 10000.0),
            Setting("emb_layer_norm_before", "embedding_norm", False, names={None: False}),
            Setting("token_dropout", "token_dropout", False),
            Setting("mask_token_id", "mask_token_id", None),
            Setting("pad_token_id", "pad_token_id", None),
            Setting("bos_token_id", "bos_token_id", None),
            Setting("eos_token_id", "eos_token_id", 2),
            *(setting for setting in SETTINGS if setting.field not in _OTHER_DEFAULTS),
        ),
        fixed={**FIXED, "type_vocab_size": 0, "activation": "gelu", "classifier_dropout": None},
        required={
            **{name: value for name, value in REQUIRED.items() if name != "position_embedding_type"},
            "is_folding_model": False,
        },
        dims=_dims,
        backbone=_backbone,
        heads={
            "EsmModel": _head("EsmModel", pooler("esm.")),
            "EsmBackbone": _head("EsmModel", pooler("esm."), alone=True),
            "EsmForMaskedLM": _head("EsmForMaskedLM", MASKED_TOKENS, required=TIED),
            "EsmForSequenceClassification": _head("EsmForSequenceClassification", FIRST_TOKEN),
            "EsmForTokenClassification": _head("EsmForTokenClassification", CLASSIFIER),
        },
        ignored=(r"(esm\.)?embeddings\.position_ids",),
        left_out=(r"(esm\.)?embeddings\.position_embeddings\.weight",),
        renamed=_renamed,
    ),
)
