"""T5 as KerasHub keeps it: whole, and its encoder alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_tx.convert.family import Head, Setting
from keras_tx.convert.keras_hub import KerasHubFamily, layer, numbered
from keras_tx.convert.table import Rule, prefixed

Fields = Mapping[str, Any]

# === Tensors ===


def _scale(peer: str, own: str) -> list[Rule]:
    return layer(peer, "D", own, "scale")


def _attention(peer: str, own: str) -> list[Rule]:
    inward = [layer(f"{peer}/{x}_projector", "D I", f"{own}/{x}", "kernel") for x in ("query", "key", "value")]
    return [*(rule for rules in inward for rule in rules), *_map(f"{peer}/output_projector", "I D", f"{own}/output")]


def _map(peer: str, shape: str, own: str) -> list[Rule]:
    return layer(peer, shape, own, "kernel")


def _block(gated: bool, cross: bool) -> list[Rule]:
    """The rules of a block, below it."""
    inward = {"input_projector": "gate", "gate_projector": "up"} if gated else {"input_projector": "up"}
    crossed = [
        *_scale("cross_attention_layer_norm", "cross_attention_norm"),
        *_attention("cross_attention", "cross_attention"),
    ]
    return [
        *_scale("self_attention_layer_norm", "attention_norm"),
        *_attention("self_attention", "attention"),
        *(crossed if cross else []),
        *_scale("layer_norm", "feed_forward_norm"),
        *(rule for peer, own in inward.items() for rule in _map(peer, "D F", f"feed_forward/{own}")),
        *_map("output_projector", "F D", "feed_forward/down"),
    ]


def _stack(name: str, layers: int, first: int, gated: bool) -> list[Rule]:
    """The rules of the "encoder" or the "decoder", whose first block, of this number, has the position bias of all."""
    peer, block = "layers/t5_transformer_layer", _block(gated, cross=name == "decoder")
    blocks = [prefixed(f"{numbered(peer, first + i)}/", f"backbone/{name}/block_{i}/", block) for i in range(layers)]
    return [
        *layer(f"{numbered(peer, first)}/self_attention", "R H", f"backbone/{name}_bias", "table"),
        *(rule for rules in blocks for rule in rules),
        *_scale(numbered("layers/t5_layer_norm", int(first > 0)), f"backbone/{name}/norm"),
    ]


def _encoder(fields: Fields) -> list[Rule]:
    return [
        *layer("layers/reversible_embedding", "V D", "backbone/token_embedding", "embeddings"),
        *_stack("encoder", fields["num_layers"], 0, fields["gated"]),
    ]


def _decoder(fields: Fields) -> list[Rule]:
    return _stack("decoder", fields["num_layers"], fields["num_layers"], fields["gated"])


def _both(fields: Fields) -> list[Rule]:
    return [*_encoder(fields), *_decoder(fields)]


def _language_model(fields: Fields) -> list[Rule]:
    if fields["tie_embeddings"]:
        return []
    return [Rule("layers/reversible_embedding/vars/1", ("D", "V"), ("head/output_projection/kernel",))]


def _dims(fields: Fields) -> dict[str, int]:
    return {
        "V": fields["vocab_size"],
        "D": fields["d_model"],
        "I": fields["num_heads"] * fields["d_kv"],
        "F": fields["d_ff"],
        "R": fields["num_buckets"],
        "H": fields["num_heads"],
    }


# === Configs ===

_ACTIVATIONS = ("relu", "gelu", "silu")
"""Called the same there and here."""
_GELU_TANH = {
    "module": "builtins",
    "class_name": "function",
    "config": "keras_hub>gelu_approximate",
    "registered_name": "function",
}
"""KerasHub's own, as Keras serializes it."""
_KNOWN = ", ".join(map(repr, (*_ACTIVATIONS, "gelu_tanh")))


def _inferred(config: Mapping[str, Any]) -> dict[str, Any]:
    name = "gelu_tanh" if config["activation"] == _GELU_TANH else config["activation"]
    if name not in (*_ACTIVATIONS, "gelu_tanh"):
        raise ValueError(f"the preset has activation={name!r}; known are {_KNOWN}.")
    width = config.get("key_value_dim") or config["hidden_dim"] // config["num_heads"]
    return {"activation": name, "d_kv": width}


def _derived(fields: Fields) -> dict[str, Any]:
    name = fields["activation"]
    if name not in (*_ACTIVATIONS, "gelu_tanh"):
        raise ValueError(f"`activation` of KerasHub's T5Backbone must be one of {_KNOWN}; got {name!r}.")
    return {"activation": _GELU_TANH if name == "gelu_tanh" else name, "key_value_dim": fields["d_kv"]}


def _normalized(fields: Fields) -> dict[str, Any]:
    usual = {"num_decoder_layers": fields["num_layers"], "scale_output": fields["tie_embeddings"]}
    return {name: None if name in usual and value == usual[name] else value for name, value in fields.items()}


# === Families ===

_FRESH = ("T5ForSequenceClassification", "T5ForQuestionAnswering")

T5 = KerasHubFamily(
    model_type="keras_hub/T5Backbone",
    prefix="",
    settings=(
        Setting("vocabulary_size", "vocab_size", None),
        Setting("num_layers", "num_layers", None),
        Setting("num_heads", "num_heads", None),
        Setting("hidden_dim", "d_model", None),
        Setting("intermediate_dim", "d_ff", None),
        Setting("dropout", "dropout", 0.1),
        Setting("use_gated_activation", "gated", True),
        Setting("layer_norm_epsilon", "norm_epsilon", 1e-6),
        Setting("tie_embedding_weights", "tie_embeddings", True),
    ),
    fixed={"num_decoder_layers": None, "num_buckets": 32, "max_distance": 128, "scale_output": None},
    required={},
    dims=_dims,
    backbone=_both,
    heads={
        "T5Model": Head("T5Seq2SeqLM", _language_model),
        "T5Backbone": Head("T5Backbone", alone=True),
        **dict.fromkeys(_FRESH, Head("")),
    },
    normalized=_normalized,
    inferred=_inferred,
    derived=_derived,
    read_from=("activation", "key_value_dim"),
    unread=(
        *("activation", "d_kv", "classifier_dropout", "initializer_factor"),
        *("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"),
    ),
)

T5_ENCODER = dataclasses.replace(
    T5,
    backbone=_encoder,
    heads={
        # What the others have beyond the encoder may be left.
        "T5Model": Head("T5Seq2SeqLM", lambda fields: [*_decoder(fields), *_language_model(fields)]),
        "T5EncoderModel": Head("T5Backbone", alone=True),
        "T5ForTokenClassification": Head(""),
    },
    whole=False,
)
