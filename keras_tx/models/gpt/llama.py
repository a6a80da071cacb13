"""LLaMA, Mistral and Mixtral as Transformers keeps them: one tensor a linear map, `(out, in)`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from keras_tx.convert.family import ACTIVATIONS, Family, Head, Setting
from keras_tx.convert.table import Rule, linear, prefixed, same, transposed
from keras_tx.layers import AttentionConfig, Experts
from keras_tx.layers.attention.variants import SlidingWindow
from keras_tx.models.gpt.rotary import read_rotary, write_rotary
from keras_tx.ops.fields import from_json

Fields = Mapping[str, Any]

# === Tensors ===


def _scale(peer: str, own: str) -> Rule:
    return same(f"{peer}.weight", "D", f"{own}/scale")


def _linear(peer: str, shape: str, own: str, use_bias: bool) -> list[Rule]:
    return linear(peer, shape, own)[: 2 if use_bias else 1]


def _block(fields: Fields) -> list[Rule]:
    bias = fields["use_bias"]
    return [
        _scale("input_layernorm", "attention_norm"),
        *_linear("self_attn.q_proj", "Q D", "attention/query", bias),
        *_linear("self_attn.k_proj", "K D", "attention/key", bias),
        *_linear("self_attn.v_proj", "K D", "attention/value", bias),
        *_linear("self_attn.o_proj", "D Q", "attention/output", bias),
        _scale("post_attention_layernorm", "feed_forward_norm"),
        *(_network(fields) if fields["experts"] is None else _experts(fields)),
    ]


def _network(fields: Fields) -> list[Rule]:
    bias = fields["use_bias"] if fields["feed_forward_bias"] is None else fields["feed_forward_bias"]
    return [
        *_linear("mlp.gate_proj", "F D", "feed_forward/gate", bias),
        *_linear("mlp.up_proj", "F D", "feed_forward/up", bias),
        *_linear("mlp.down_proj", "D F", "feed_forward/down", bias),
    ]


def _experts(fields: Fields) -> list[Rule]:
    rules = [transposed("block_sparse_moe.gate.weight", "E D", "feed_forward/router")]
    for expert in range(_mixture(fields).num_experts):
        for peer, shape, own in (("w1", "F D", "gate"), ("w3", "F D", "up"), ("w2", "D F", "down")):
            peer = f"block_sparse_moe.experts.{expert}.{peer}.weight"
            rules.append(dataclasses.replace(transposed(peer, shape, f"feed_forward/{own}/kernel"), row=expert))
    return rules


def _mixture(fields: Fields) -> Experts:
    return from_json(fields["experts"], Experts)


def _backbone(prefix: str):
    """The rules of a LLaMA whose tensors' names begin so."""

    def rules(fields: Fields) -> list[Rule]:
        copies = ("lm_head.weight",) if fields["tie_embeddings"] else ()
        blocks = (
            rule
            for i in range(fields["num_layers"])
            for rule in prefixed(f"{prefix}layers.{i}.", f"backbone/block_{i}/", _block(fields))
        )
        return [
            same(f"{prefix}embed_tokens.weight", "V D", "backbone/token_embedding/embeddings", copies=copies),
            *blocks,
            _scale(f"{prefix}norm", "backbone/final_norm"),
        ]

    return rules


def _under(prefix: str, other: str) -> Callable[[Fields], dict[str, Any]]:
    """Puts the tensors whose names begin with the other prefix under this one."""

    def renamed(tensors: Fields) -> dict[str, Any]:
        return {
            prefix + name.removeprefix(other) if name.startswith(other) else name: tensor
            for name, tensor in tensors.items()
        }

    return renamed


def _language_model(fields: Fields) -> list[Rule]:
    return [] if fields["tie_embeddings"] else [transposed("lm_head.weight", "V D", "head/output_projection/kernel")]


def _sequence_classifier(fields: Fields) -> list[Rule]:
    return [transposed("score.weight", "N D", "head/classifier/kernel")]


def _dims(fields: Fields) -> dict[str, int]:
    head_dim = fields["head_dim"] or fields["d_model"] // fields["num_heads"]
    return {
        "V": fields["vocab_size"],
        "D": fields["d_model"],
        "Q": fields["num_heads"] * head_dim,
        "K": (fields["num_kv_heads"] or fields["num_heads"]) * head_dim,
        "F": fields["d_ff"] or 4 * fields["d_model"],
        "E": 0 if fields["experts"] is None else _mixture(fields).num_experts,
        "N": fields["num_labels"],
    }


# === Configs ===


def _inferred(config: Mapping[str, Any]) -> dict[str, Any]:
    return {"scale_residual_init": False, **read_rotary(config)}


def _sizes(fields: Fields) -> dict[str, Any]:
    return {
        "head_dim": fields["head_dim"] or fields["d_model"] // fields["num_heads"],
        "intermediate_size": fields["d_ff"] or 4 * fields["d_model"],
        "num_key_value_heads": fields["num_kv_heads"] or fields["num_heads"],
        **write_rotary(fields),
    }


def _derived(fields: Fields) -> dict[str, Any]:
    bias, inner_bias = fields["use_bias"], fields["feed_forward_bias"]
    return {"mlp_bias": bias if inner_bias is None else inner_bias, **_sizes(fields)}


_SETTINGS = (
    Setting("vocab_size", "vocab_size", 32000),
    Setting("max_position_embeddings", "max_positions", 2048),
    Setting("hidden_size", "d_model", 4096),
    Setting("intermediate_size", "d_ff", 11008),
    Setting("num_hidden_layers", "num_layers", 32),
    Setting("num_attention_heads", "num_heads", 32),
    Setting("num_key_value_heads", "num_kv_heads", None),
    Setting("head_dim", "head_dim", None),
    Setting("hidden_act", "activation", "silu", names=ACTIVATIONS),
    Setting("rms_norm_eps", "norm_epsilon", 1e-6),
    Setting("attention_dropout", "attention_dropout", 0.0),
    Setting("classifier_dropout", "classifier_dropout", 0.1, also=("hidden_dropout",)),
    Setting("initializer_range", "initializer_range", 0.02),
    Setting("pad_token_id", "pad_token_id", None),
    Setting("bos_token_id", "bos_token_id", 1),
    Setting("eos_token_id", "eos_token_id", 2),
    Setting("tie_word_embeddings", "tie_embeddings", False),
)

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


def _heads(name: str) -> dict[str, Head]:
    """The heads that all these families have, whose classes' names begin so."""
    return {
        "GPTModel": Head(f"{name}ForCausalLM", _language_model),
        "GPTBackbone": Head(f"{name}Model", alone=True),
        "GPTForSequenceClassification": Head(
            f"{name}ForSequenceClassification",
            lambda fields: [transposed("score.weight", "N D", "head/classifier/kernel")],
        ),
        "GPTForTokenClassification": Head(
            f"{name}ForTokenClassification", lambda fields: linear("score", "N D", "head/classifier")
        ),
    }


def _answering(name: str) -> dict[str, Head]:
    return {
        "GPTForQuestionAnswering": Head(
            f"{name}ForQuestionAnswering", lambda fields: linear("qa_outputs", "2 D", "head/qa_outputs")
        )
    }


LLAMA = Family(
    model_type="llama",
    prefix="model.",
    settings=(
        *_SETTINGS,
        Setting("attention_bias", "use_bias", False),
        Setting("mlp_bias", "feed_forward_bias", False),
    ),
    fixed=_FIXED,
    required={},
    dims=_dims,
    backbone=_backbone("model."),
    heads=_heads("Llama"),
    left_out=(r"qa_outputs\.(weight|bias)",),
    renamed=_under("model.", "transformer."),
    ignored=(r".*rotary_emb\.inv_freq",),
    inferred=_inferred,
    derived=_derived,
)

LLAMA_ANSWERING = dataclasses.replace(
    LLAMA,
    prefix="transformer.",
    backbone=_backbone("transformer."),
    heads=_answering("Llama"),
    left_out=(r"lm_head\.weight", r"score\.(weight|bias)"),
    renamed=_under("transformer.", "model."),
)
"""The head of question answering, whose peer calls the backbone `transformer`."""


# === Mistral: a window. Mixtral: experts ===


class _Window(Setting):
    """A number, None for no window, and a `SlidingWindow` of that size."""

    def to_field(self, config):
        size = super().to_field(config)
        return None if size is None else SlidingWindow(window_size=size)

    def to_entry(self, value):
        attention = AttentionConfig.of(value)
        if attention is None:
            return None
        if not isinstance(attention, SlidingWindow) or attention != SlidingWindow(window_size=attention.window_size):
            raise ValueError(f'`attention={attention}` cannot be said in this format: save it with format="keras_tx".')
        return attention.window_size


def _with_defaults(settings: tuple[Setting, ...], **defaults: Any) -> tuple[Setting, ...]:
    return tuple(dataclasses.replace(x, default=defaults.get(x.entry, x.default)) for x in settings)


def _normalized(fields: Fields) -> Fields:
    """Returns the fields with `feed_forward_bias` None where it is the default."""
    usual = fields["feed_forward_bias"] == fields["use_bias"]
    return {**fields, "feed_forward_bias": None if usual else fields["feed_forward_bias"]}


MISTRAL = dataclasses.replace(
    LLAMA,
    model_type="mistral",
    settings=(
        *_with_defaults(_SETTINGS, max_position_embeddings=131072, intermediate_size=14336, num_key_value_heads=8),
        _Window("sliding_window", "attention", 4096),
    ),
    fixed={**_FIXED, "use_bias": False, "feed_forward_bias": None},
    heads={**_heads("Mistral"), **_answering("Mistral")},
    left_out=(),
    normalized=_normalized,
    derived=_sizes,
)


def _read_mixture(config: Mapping[str, Any]) -> dict[str, Any]:
    """Our fields.

    Our auxiliary losses are added up over the layers, and averaged over each token's choices; theirs are averaged over
    the layers and added up over the choices.
    """
    chosen, coefficient = config.get("num_experts_per_tok", 2), config.get("router_aux_loss_coef", 0.001)
    scale = chosen / config.get("num_hidden_layers", 32) if config.get("output_router_logits") else 0.0
    mixture = Experts(
        num_experts=config.get("num_local_experts", 8),
        top_k=chosen,
        router_aux_loss_coef=coefficient * scale,
        norm_topk_prob=True,
    )
    return {"scale_residual_init": False, "experts": mixture, **read_rotary(config, rope_theta=1e6)}


def _write_mixture(fields: Fields) -> dict[str, Any]:
    mixture = _mixture(fields)
    if mixture.capacity_factor is not None or not mixture.normalizes:
        raise ValueError(f'`experts={mixture}` cannot be said in this format: save it with format="keras_tx".')
    return {
        "num_local_experts": mixture.num_experts,
        "num_experts_per_tok": mixture.top_k,
        "output_router_logits": mixture.router_aux_loss_coef > 0,
        "router_aux_loss_coef": mixture.router_aux_loss_coef * fields["num_layers"] / mixture.top_k or 0.001,
        **_sizes(fields),
    }


MIXTRAL = dataclasses.replace(
    MISTRAL,
    model_type="mixtral",
    settings=_with_defaults(MISTRAL.settings, rms_norm_eps=1e-5, sliding_window=None),
    fixed={name: value for name, value in MISTRAL.fixed.items() if name != "experts"},
    required={"router_jitter_noise": 0.0},
    heads={**_heads("Mixtral"), **_answering("Mixtral")},
    inferred=_read_mixture,
    derived=_write_mixture,
)

FAMILIES = (LLAMA, MISTRAL, MIXTRAL)
ANSWERING = (LLAMA_ANSWERING, MISTRAL, MIXTRAL)
"""The families of the head that answers questions."""
