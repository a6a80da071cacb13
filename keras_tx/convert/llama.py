"""LLaMA as Transformers keeps it: one tensor a linear map, `(out, in)`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from keras_tx.convert.family import Family, Head, Setting
from keras_tx.convert.rotary import read_rotary, write_rotary
from keras_tx.convert.table import Rule, below, linear, same, transposed

Fields = Mapping[str, Any]

# === Tensors ===


def _scale(theirs: str, ours: str) -> Rule:
    return same(f"{theirs}.weight", "D", f"{ours}/scale")


def _linear(theirs: str, shape: str, ours: str, use_bias: bool) -> list[Rule]:
    return linear(theirs, shape, ours)[: 2 if use_bias else 1]


def _block(fields: Fields) -> list[Rule]:
    bias, inner_bias = fields["use_bias"], fields["feed_forward_bias"]
    inner_bias = bias if inner_bias is None else inner_bias
    return [
        _scale("input_layernorm", "attention_norm"),
        *_linear("self_attn.q_proj", "Q D", "attention/query", bias),
        *_linear("self_attn.k_proj", "K D", "attention/key", bias),
        *_linear("self_attn.v_proj", "K D", "attention/value", bias),
        *_linear("self_attn.o_proj", "D Q", "attention/output", bias),
        _scale("post_attention_layernorm", "feed_forward_norm"),
        *_linear("mlp.gate_proj", "F D", "feed_forward/gate", inner_bias),
        *_linear("mlp.up_proj", "F D", "feed_forward/up", inner_bias),
        *_linear("mlp.down_proj", "D F", "feed_forward/down", inner_bias),
    ]


def _backbone(prefix: str):
    """The rules of a LLaMA whose tensors' names begin so."""

    def rules(fields: Fields) -> list[Rule]:
        copies = ("lm_head.weight",) if fields["tie_embeddings"] else ()
        blocks = (
            rule
            for i in range(fields["num_layers"])
            for rule in below(f"{prefix}layers.{i}.", f"block_{i}/", _block(fields))
        )
        return [
            same(f"{prefix}embed_tokens.weight", "V D", "token_embedding/embeddings", copies=copies),
            *blocks,
            _scale(f"{prefix}norm", "final_norm"),
        ]

    return rules


def _under(prefix: str, other: str) -> Callable[[Fields], dict[str, Any]]:
    """Puts the tensors whose names begin with the other prefix under this one."""

    def respelled(tensors: Fields) -> dict[str, Any]:
        return {
            prefix + name.removeprefix(other) if name.startswith(other) else name: tensor
            for name, tensor in tensors.items()
        }

    return respelled


def _language_model(fields: Fields) -> list[Rule]:
    return [] if fields["tie_embeddings"] else [transposed("lm_head.weight", "V D", "output_projection/kernel")]


def _dims(fields: Fields) -> dict[str, int]:
    head_dim = fields["head_dim"] or fields["d_model"] // fields["num_heads"]
    return {
        "V": fields["vocab_size"],
        "D": fields["d_model"],
        "Q": fields["num_heads"] * head_dim,
        "K": (fields["num_kv_heads"] or fields["num_heads"]) * head_dim,
        "F": fields["d_ff"] or 4 * fields["d_model"],
        "N": fields["num_labels"],
    }


# === Configs ===


def _inferred(config: Mapping[str, Any]) -> dict[str, Any]:
    return {"scale_residual_init": False, **read_rotary(config)}


def _derived(fields: Fields) -> dict[str, Any]:
    bias, inner_bias = fields["use_bias"], fields["feed_forward_bias"]
    return {
        "head_dim": fields["head_dim"] or fields["d_model"] // fields["num_heads"],
        "intermediate_size": fields["d_ff"] or 4 * fields["d_model"],
        "num_key_value_heads": fields["num_kv_heads"] or fields["num_heads"],
        "mlp_bias": bias if inner_bias is None else inner_bias,
        **write_rotary(fields),
    }


_FIXED = {
    "norm_position": "pre",
    "norm": "rms",
    "gated": True,
    "experts": None,
    "positions": "rotary",
    "scale_attention": True,
    "scale_attention_by_layer": False,
    "embedding_dropout": 0.0,
    "residual_dropout": 0.0,
}

LLAMA = Family(
    model_type="llama",
    prefix="model.",
    settings=(
        Setting("vocab_size", "vocab_size", 32000),
        Setting("max_position_embeddings", "max_positions", 2048),
        Setting("hidden_size", "d_model", 4096),
        Setting("intermediate_size", "d_ff", 11008),
        Setting("num_hidden_layers", "num_layers", 32),
        Setting("num_attention_heads", "num_heads", 32),
        Setting("num_key_value_heads", "num_kv_heads", None),
        Setting("head_dim", "head_dim", None),
        Setting("hidden_act", "activation", "silu", names={"gelu_new": "gelu_tanh"}),
        Setting("rms_norm_eps", "norm_epsilon", 1e-6),
        Setting("attention_bias", "use_bias", False),
        Setting("mlp_bias", "feed_forward_bias", False),
        Setting("attention_dropout", "attention_dropout", 0.0),
        Setting("classifier_dropout", "classifier_dropout", 0.1, also=("hidden_dropout",)),
        Setting("initializer_range", "initializer_range", 0.02),
        Setting("pad_token_id", "pad_token_id", None),
        Setting("bos_token_id", "bos_token_id", 1),
        Setting("eos_token_id", "eos_token_id", 2),
        Setting("tie_word_embeddings", "tie_embeddings", False),
    ),
    fixed=_FIXED,
    demanded={},
    dims=_dims,
    backbone=_backbone("model."),
    heads={
        "GPTModel": Head("LlamaForCausalLM", _language_model),
        "GPTForSequenceClassification": Head(
            "LlamaForSequenceClassification", lambda fields: [transposed("score.weight", "N D", "classifier/kernel")]
        ),
        "GPTForTokenClassification": Head(
            "LlamaForTokenClassification", lambda fields: linear("score", "N D", "classifier")
        ),
    },
    left_out=(r"qa_outputs\.(weight|bias)",),
    respelled=_under("model.", "transformer."),
    ignored=(r".*rotary_emb\.inv_freq",),
    inferred=_inferred,
    derived=_derived,
)

LLAMA_ANSWERING = dataclasses.replace(
    LLAMA,
    prefix="transformer.",
    backbone=_backbone("transformer."),
    heads={
        "GPTForQuestionAnswering": Head(
            "LlamaForQuestionAnswering", lambda fields: linear("qa_outputs", "2 D", "qa_outputs")
        )
    },
    left_out=(r"lm_head\.weight", r"score\.(weight|bias)"),
    respelled=_under("transformer.", "model."),
)
"""With the one head whose peer calls the backbone otherwise."""
