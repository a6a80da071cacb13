"""T5 as Transformers keeps it: whole, as an encoder, and inside of two classifiers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from keras_tx.convert.family import Family, Head, Setting
from keras_tx.convert.table import Rule, linear, prefixed, same, transposed
from keras_tx.convert.tensors import Tensor

Fields = Mapping[str, Any]

PREFIX = "transformer."
"""The prefix of names in a T5 that is part of another class."""

# === Tensors ===


def _scale(peer: str, own: str) -> Rule:
    return same(f"{peer}.weight", "D", f"{own}/scale")


def _attention(peer: str, own: str) -> list[Rule]:
    inward = {"q": "query", "k": "key", "v": "value"}
    return [
        *(transposed(f"{peer}.{letter}.weight", "I D", f"{own}/{name}/kernel") for letter, name in inward.items()),
        transposed(f"{peer}.o.weight", "D I", f"{own}/output/kernel"),
    ]


def _feed_forward(peer: str, own: str, gated: bool) -> list[Rule]:
    inward = {"wi_0": "gate", "wi_1": "up"} if gated else {"wi": "up"}
    return [
        *(transposed(f"{peer}.{inner}.weight", "F D", f"{own}/{name}/kernel") for inner, name in inward.items()),
        transposed(f"{peer}.wo.weight", "D F", f"{own}/down/kernel"),
    ]


def _block(gated: bool, cross: bool) -> list[Rule]:
    """The rules of a block, below it."""
    last = 2 if cross else 1
    crossed = [
        _scale("layer.1.layer_norm", "cross_attention_norm"),
        *_attention("layer.1.EncDecAttention", "cross_attention"),
    ]
    return [
        _scale("layer.0.layer_norm", "attention_norm"),
        *_attention("layer.0.SelfAttention", "attention"),
        *(crossed if cross else []),
        _scale(f"layer.{last}.layer_norm", "feed_forward_norm"),
        *_feed_forward(f"layer.{last}.DenseReluDense", "feed_forward", gated),
    ]


def _stack(name: str, layers: int, gated: bool) -> list[Rule]:
    """The rules of the "encoder" or the "decoder", whose first block has the position bias of all."""
    bias = f"{name}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    block = _block(gated, cross=name == "decoder")
    return [
        same(bias, "R H", f"backbone/{name}_bias/table"),
        *(rule for i in range(layers) for rule in prefixed(f"{name}.block.{i}.", f"backbone/{name}/block_{i}/", block)),
        _scale(f"{name}.final_layer_norm", f"backbone/{name}/norm"),
    ]


def _encoder(fields: Fields) -> list[Rule]:
    tied = ["lm_head.weight"] if fields["tie_embeddings"] else []
    copies = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", *tied)
    tokens = same("shared.weight", "V D", "backbone/token_embedding/embeddings", copies=copies)
    return [tokens, *_stack("encoder", fields["num_layers"], fields["gated"])]


def _both(fields: Fields) -> list[Rule]:
    layers = fields["num_decoder_layers"] or fields["num_layers"]
    return [*_encoder(fields), *_stack("decoder", layers, fields["gated"])]


def _wrapped(rules: Callable[[Fields], list[Rule]]) -> Callable[[Fields], list[Rule]]:
    return lambda fields: prefixed(PREFIX, "", rules(fields))


def _bare(tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items()}


def _language_model(fields: Fields) -> list[Rule]:
    return [] if fields["tie_embeddings"] else [transposed("lm_head.weight", "V D", "head/output_projection/kernel")]


_CLASSIFIER = [
    *linear("classification_head.dense", "D D", "head/transform"),
    *linear("classification_head.out_proj", "N D", "head/classifier"),
]


def _dims(fields: Fields) -> dict[str, int]:
    return {
        "V": fields["vocab_size"],
        "D": fields["d_model"],
        "I": fields["num_heads"] * fields["d_kv"],
        "F": fields["d_ff"],
        "R": fields["num_buckets"],
        "H": fields["num_heads"],
        "N": fields["num_labels"],
    }


# === Configs ===

_GATED_NAMES = {"gelu_tanh": "gelu", "gelu": "gelu_python"}  # "gated-gelu" means the tanh approximation
_NAMES = {"gelu_tanh": "gelu_new"}


def _inferred(config: Mapping[str, Any]) -> dict[str, Any]:
    said = config.get("feed_forward_proj") or "relu"
    name, gated = said.removeprefix("gated-"), said.startswith("gated-")
    own_names = {peer: own for own, peer in (_GATED_NAMES if gated else _NAMES).items()}
    tied, scaled = config.get("tie_word_embeddings", True), config.get("scale_decoder_outputs")
    return {
        "gated": gated,
        "activation": own_names.get(name, name),
        "scale_output": None if scaled is None or scaled == tied else scaled,
    }


def _untied(fields: Fields, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Returns the fields of an untied projection; from Transformers 5 on the tensors decide, not the config."""
    shared, projection = (tensors.get(name) for name in ("shared.weight", "lm_head.weight"))
    if not fields["tie_embeddings"] or shared is None or projection is None or projection.equals(shared):
        return {}
    return {"tie_embeddings": False, "scale_output": fields["scale_output"] is not False}


def _derived(fields: Fields) -> dict[str, Any]:
    gated, name, scaled = fields["gated"], fields["activation"], fields["scale_output"]
    name = (_GATED_NAMES if gated else _NAMES).get(name, name)
    return {
        "feed_forward_proj": f"gated-{name}" if gated else name,
        "scale_decoder_outputs": fields["tie_embeddings"] if scaled is None else scaled,
        "is_encoder_decoder": True,
    }


_SETTINGS = (
    Setting("vocab_size", "vocab_size", 32128),
    Setting("num_layers", "num_layers", 6, also=("num_hidden_layers",)),
    Setting("num_decoder_layers", "num_decoder_layers", None),
    Setting("num_heads", "num_heads", 8, also=("num_attention_heads",)),
    Setting("d_model", "d_model", 512, also=("hidden_size",)),
    Setting("d_kv", "d_kv", 64, also=("head_dim",)),
    Setting("d_ff", "d_ff", 2048),
    Setting("relative_attention_num_buckets", "num_buckets", 32),
    Setting("relative_attention_max_distance", "max_distance", 128),
    Setting("layer_norm_epsilon", "norm_epsilon", 1e-6),
    Setting("dropout_rate", "dropout", 0.1),
    Setting("classifier_dropout", "classifier_dropout", 0.0),
    Setting("tie_word_embeddings", "tie_embeddings", True),
    Setting("initializer_factor", "initializer_factor", 1.0),
    Setting("pad_token_id", "pad_token_id", 0),
    Setting("bos_token_id", "bos_token_id", None),
    Setting("eos_token_id", "eos_token_id", 1),
    Setting("decoder_start_token_id", "decoder_start_token_id", 0),
)

_OTHER_HEADS = (r"lm_head\.weight", r"(qa_outputs|classifier|classification_head\.\w+)\.(weight|bias)")
_DECODER = (r"(transformer\.)?decoder\..*",)

# === Families ===

T5 = Family(
    model_type="t5",
    prefix="",
    settings=_SETTINGS,
    fixed={},
    required={},
    dims=_dims,
    backbone=_both,
    heads={
        "T5Model": Head("T5ForConditionalGeneration", _language_model),
        "T5ForQuestionAnswering": Head(
            "T5ForQuestionAnswering",
            lambda fields: linear("qa_outputs", "2 D", "head/qa_outputs"),
            peer_fields={"num_labels": 2, "label_names": None},
        ),
        "T5Backbone": Head("T5Model", alone=True),
    },
    ignored=(r".*EncDecAttention\.relative_attention_bias\.weight",),  # of old checkpoints, which nothing reads
    left_out=_OTHER_HEADS,
    inferred=_inferred,
    from_tensors=_untied,
    derived=_derived,
    renamed=_bare,
)

T5_ENCODER = dataclasses.replace(
    T5,
    backbone=_encoder,
    heads={"T5EncoderModel": Head("T5EncoderModel")},
    left_out=(*_OTHER_HEADS, *_DECODER),
)

T5_IN_CLASSIFIER = dataclasses.replace(
    T5,
    prefix=PREFIX,
    backbone=_wrapped(_both),
    heads={
        "T5ForSequenceClassification": Head("T5ForSequenceClassification", lambda fields: _CLASSIFIER),
    },
    renamed=lambda tensors: tensors,
)

T5_IN_TAGGER = dataclasses.replace(
    T5_IN_CLASSIFIER,
    backbone=_wrapped(_encoder),
    heads={
        "T5ForTokenClassification": Head(
            "T5ForTokenClassification", lambda fields: linear("classifier", "N D", "head/classifier")
        ),
    },
    left_out=T5_ENCODER.left_out,
)
