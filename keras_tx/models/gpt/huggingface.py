"""GPT-1 and GPT-2 as Transformers keeps them.

Their linear maps are `(in, out)`, as ours are; query, key and value lie side by side in one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_tx.convert.family import ACTIVATIONS, Family, Head, Setting
from keras_tx.convert.table import Rule, linear, norm, prefixed, same, transposed

_QKV = ("attention/query", "attention/key", "attention/value")

_BLOCK = [
    *norm("ln_1", "D", "attention_norm"),
    same("attn.c_attn.weight", "D 3D", *(f"{path}/kernel" for path in _QKV)),
    same("attn.c_attn.bias", "3D", *(f"{path}/bias" for path in _QKV)),
    same("attn.c_proj.weight", "D D", "attention/output/kernel"),
    same("attn.c_proj.bias", "D", "attention/output/bias"),
    *norm("ln_2", "D", "feed_forward_norm"),
    same("mlp.c_fc.weight", "D F", "feed_forward/up/kernel"),
    same("mlp.c_fc.bias", "F", "feed_forward/up/bias"),
    same("mlp.c_proj.weight", "F D", "feed_forward/down/kernel"),
    same("mlp.c_proj.bias", "D", "feed_forward/down/bias"),
]


def _backbone(tokens: str, positions: str, final_norm: list[Rule]):
    """The rules of a GPT whose tables are called so."""

    def rules(fields: Mapping[str, Any]) -> list[Rule]:
        # A tied checkpoint may have the table twice, or under the output projection's name alone.
        copies = ("lm_head.weight",) if fields["tie_embeddings"] else ()
        return [
            same(f"transformer.{tokens}.weight", "V D", "backbone/token_embedding/embeddings", copies=copies),
            same(f"transformer.{positions}.weight", "P D", "backbone/position_embedding/embeddings"),
            *(
                rule
                for i in range(fields["num_layers"])
                for rule in prefixed(f"transformer.h.{i}.", f"backbone/block_{i}/", _BLOCK)
            ),
            *prefixed("transformer.", "backbone/", final_norm),
        ]

    return rules


def _language_model(fields: Mapping[str, Any]) -> list[Rule]:
    return [] if fields["tie_embeddings"] else [transposed("lm_head.weight", "V D", "head/output_projection/kernel")]


def _double_heads(fields: Mapping[str, Any]) -> list[Rule]:
    return [*_language_model(fields), *linear("multiple_choice_head.summary", "1 D", "head/choice_head")]


def _sequence_classifier(fields: Mapping[str, Any]) -> list[Rule]:
    return [transposed("score.weight", "N D", "head/classifier/kernel")]


def _token_classifier(fields: Mapping[str, Any]) -> list[Rule]:
    return linear("classifier", "N D", "head/classifier")


def _question_answering(fields: Mapping[str, Any]) -> list[Rule]:
    return linear("qa_outputs", "2 D", "head/qa_outputs")


def _dims(fields: Mapping[str, Any]) -> dict[str, int]:
    return {
        "V": fields["vocab_size"],
        "P": fields["max_positions"],
        "D": fields["d_model"],
        "F": fields["d_ff"] or 4 * fields["d_model"],
        "N": fields["num_labels"],
    }


def _normalized(fields: Mapping[str, Any]) -> dict[str, Any]:
    usual = {
        "d_ff": 4 * fields["d_model"],
        "num_kv_heads": fields["num_heads"],
        "head_dim": fields["d_model"] / fields["num_heads"],
        "feed_forward_bias": fields["use_bias"],
    }
    return {name: None if name in usual and value == usual[name] else value for name, value in fields.items()}


_SETTINGS = (
    Setting("n_embd", "d_model", 768, also=("hidden_size",)),
    Setting("n_layer", "num_layers", 12, also=("num_hidden_layers",)),
    Setting("n_head", "num_heads", 12, also=("num_attention_heads",)),
    Setting("layer_norm_epsilon", "norm_epsilon", 1e-5),
    Setting("embd_pdrop", "embedding_dropout", 0.1),
    Setting("attn_pdrop", "attention_dropout", 0.1),
    Setting("resid_pdrop", "residual_dropout", 0.1),
    Setting("summary_first_dropout", "summary_dropout", 0.1),
    Setting("summary_activation", "summary_activation", None),
    Setting("initializer_range", "initializer_range", 0.02),
    Setting("pad_token_id", "pad_token_id", None),
    Setting("tie_word_embeddings", "tie_embeddings", True),
)

_FIXED = {
    "positions": "learned",
    "use_bias": True,
    "num_kv_heads": None,
    "norm": "layer",
    "gated": False,
    "experts": None,
    "head_dim": None,
    "feed_forward_bias": None,
}
_SUMMARY = {"summary_type": "cls_index", "summary_use_proj": True, "summary_proj_to_labels": True}
_BUFFERS = (r".*\.attn\.(bias|masked_bias)",)

GPT2 = Family(
    model_type="gpt2",
    prefix="transformer.",
    settings=(
        Setting("vocab_size", "vocab_size", 50257),
        Setting("n_positions", "max_positions", 1024, also=("max_position_embeddings", "n_ctx")),
        Setting("n_inner", "d_ff", None),
        Setting("activation_function", "activation", "gelu_new", names=ACTIVATIONS),
        Setting("scale_attn_weights", "scale_attention", True),
        Setting("scale_attn_by_inverse_layer_idx", "scale_attention_by_layer", False),
        Setting("classifier_dropout", "classifier_dropout", 0.1, also=("hidden_dropout",)),
        Setting("bos_token_id", "bos_token_id", 50256),
        Setting("eos_token_id", "eos_token_id", 50256),
        *_SETTINGS,
    ),
    fixed={**_FIXED, "norm_position": "pre"},
    required={"add_cross_attention": False},
    dims=_dims,
    backbone=_backbone("wte", "wpe", norm("ln_f", "D", "final_norm")),
    heads={
        "GPTModel": Head("GPT2LMHeadModel", _language_model),
        "GPTForSequenceClassification": Head("GPT2ForSequenceClassification", _sequence_classifier),
        "GPTForTokenClassification": Head("GPT2ForTokenClassification", _token_classifier),
        "GPTForQuestionAnswering": Head("GPT2ForQuestionAnswering", _question_answering),
        "GPTDoubleHeadsModel": Head("GPT2DoubleHeadsModel", _double_heads, _SUMMARY),
        "GPTBackbone": Head("GPT2Model", alone=True),
    },
    normalized=_normalized,
    ignored=_BUFFERS,
)

GPT1 = Family(
    model_type="openai-gpt",
    prefix="transformer.",
    settings=(
        Setting("vocab_size", "vocab_size", 40478),
        Setting("n_positions", "max_positions", 512, also=("max_position_embeddings", "n_ctx")),
        Setting(
            "afn",
            "activation",
            "gelu",
            names={"gelu": "gelu_tanh", "relu": "relu", "silu": "silu", "swish": "silu"},
            closed=True,
        ),
        Setting("bos_token_id", "bos_token_id", None),
        Setting("eos_token_id", "eos_token_id", None),
        *_SETTINGS,
    ),
    fixed={
        **_FIXED,
        "norm_position": "post",
        "d_ff": None,
        "scale_attention": True,
        "scale_attention_by_layer": False,
    },
    required={},
    dims=_dims,
    backbone=_backbone("tokens_embed", "positions_embed", []),
    heads={
        "GPTModel": Head("OpenAIGPTLMHeadModel", _language_model),
        "GPTForSequenceClassification": Head("OpenAIGPTForSequenceClassification", _sequence_classifier),
        "GPTDoubleHeadsModel": Head("OpenAIGPTDoubleHeadsModel", _double_heads, _SUMMARY),
        "GPTBackbone": Head("OpenAIGPTModel", alone=True),
    },
    tensorflow={"activation": "gelu"},  # always the exact one, where torch's "gelu" is the tanh approximation
    normalized=_normalized,
    ignored=_BUFFERS,
)

FAMILIES = (GPT2, GPT1)
