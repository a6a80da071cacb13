"""GPT-2 as KerasHub keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_tx.convert.family import Head, Setting
from keras_tx.convert.keras_hub import TRANSFORMER_BLOCK, KerasHubFamily, blocks, layer, norm
from keras_tx.convert.table import Rule


def _backbone(fields: Mapping[str, Any]) -> list[Rule]:
    return [
        *layer("layers/reversible_embedding", "V D", "backbone/token_embedding", "embeddings"),
        *layer("layers/position_embedding", "P D", "backbone/position_embedding", "embeddings"),
        *blocks("layers/transformer_decoder", "backbone/block", fields["num_layers"], TRANSFORMER_BLOCK),
        *norm("layers/layer_normalization", "backbone/final_norm"),
    ]


def _dims(fields: Mapping[str, Any]) -> dict[str, int]:
    return {
        "V": fields["vocab_size"],
        "P": fields["max_positions"],
        "D": fields["d_model"],
        "H": fields["num_heads"],
        "A": fields["d_model"] // fields["num_heads"],
        "F": fields["d_ff"] or 4 * fields["d_model"],
    }


def _normalized(fields: Mapping[str, Any]) -> dict[str, Any]:
    """With the inner width, which KerasHub's class needs, and without what is said by default."""
    usual = {"num_kv_heads": fields["num_heads"], "head_dim": fields["d_model"] / fields["num_heads"]}
    usual["feed_forward_bias"] = fields["use_bias"]
    normalized = {name: None if name in usual and value == usual[name] else value for name, value in fields.items()}
    return {**normalized, "d_ff": fields["d_ff"] or 4 * fields["d_model"]}


GPT2 = KerasHubFamily(
    model_type="keras_hub/GPT2Backbone",
    prefix="",
    settings=(
        Setting("vocabulary_size", "vocab_size", None),
        Setting("max_sequence_length", "max_positions", 1024),
        Setting("num_layers", "num_layers", None),
        Setting("num_heads", "num_heads", None),
        Setting("hidden_dim", "d_model", None),
        Setting("intermediate_dim", "d_ff", None),
        Setting("dropout", "embedding_dropout", 0.1),
        Setting("dropout", "attention_dropout", 0.1),
        Setting("dropout", "residual_dropout", 0.1),
    ),
    fixed={
        "positions": "learned",
        "norm": "layer",
        "norm_position": "pre",
        "norm_epsilon": 1e-5,
        "activation": "gelu_tanh",
        "tie_embeddings": True,
    },
    required={},
    dims=_dims,
    backbone=_backbone,
    heads={
        "GPTModel": Head("GPT2CausalLM"),
        "GPTBackbone": Head("GPT2Backbone", alone=True),
        "GPTForSequenceClassification": Head(""),
        "GPTForTokenClassification": Head(""),
        "GPTForQuestionAnswering": Head(""),
        "GPTDoubleHeadsModel": Head(""),
    },
    normalized=_normalized,
    unread=("initializer_range", "scale_residual_init", "rotary", "pad_token_id", "bos_token_id", "eos_token_id"),
)

FAMILIES = (GPT2,)
