"""DistilBERT as Transformers keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_tx.convert.family import Family, Setting
from keras_tx.convert.table import Rule, linear, norm, prefixed, same
from keras_tx.models.bert.huggingface import CHOICE, CLASSIFIER, SPAN, START_AND_END, TIED, dims, head

_BLOCK = [
    *linear("attention.q_lin", "D D", "attention/query"),
    *linear("attention.k_lin", "D D", "attention/key"),
    *linear("attention.v_lin", "D D", "attention/value"),
    *linear("attention.out_lin", "D D", "attention/output"),
    *norm("sa_layer_norm", "D", "attention_norm"),
    *linear("ffn.lin1", "F D", "feed_forward/up"),
    *linear("ffn.lin2", "D F", "feed_forward/down"),
    *norm("output_layer_norm", "D", "feed_forward_norm"),
]
_MASKED_TOKENS = [
    *linear("vocab_transform", "D D", "head/transform"),
    *norm("vocab_layer_norm", "D", "head/transform_norm"),
    same("vocab_projector.bias", "V", "head/output_bias"),
]
_HIDDEN = linear("pre_classifier", "D D", "head/hidden")


def _backbone(fields: Mapping[str, Any]) -> list[Rule]:
    tokens = same(
        "distilbert.embeddings.word_embeddings.weight",
        "V D",
        "backbone/token_embedding/embeddings",
        copies=("vocab_projector.weight",) if fields["tie_embeddings"] else (),
    )
    others = [
        same("position_embeddings.weight", "P D", "position_embedding/embeddings"),
        *norm("LayerNorm", "D", "embedding_norm"),
    ]
    blocks = [
        rule
        for i in range(fields["num_layers"])
        for rule in prefixed(f"distilbert.transformer.layer.{i}.", f"backbone/block_{i}/", _BLOCK)
    ]
    return [tokens, *prefixed("distilbert.embeddings.", "backbone/", others), *blocks]


FAMILIES = (
    Family(
        model_type="distilbert",
        prefix="distilbert.",
        settings=(
            Setting("vocab_size", "vocab_size", 30522),
            Setting("max_position_embeddings", "max_positions", 512),
            Setting("n_layers", "num_layers", 6),
            Setting("n_heads", "num_heads", 12),
            Setting("dim", "d_model", 768),
            Setting("hidden_dim", "d_ff", 3072),
            Setting("activation", "activation", "gelu"),
            Setting("dropout", "hidden_dropout", 0.1),
            Setting("attention_dropout", "attention_dropout", 0.1),
            Setting("seq_classif_dropout", "classifier_dropout", 0.2),
            Setting("qa_dropout", "qa_dropout", 0.1),
            Setting("tie_word_embeddings", "tie_embeddings", True),
            Setting("initializer_range", "initializer_range", 0.02),
            Setting("pad_token_id", "pad_token_id", 0),
            Setting("bos_token_id", "bos_token_id", None),
            Setting("eos_token_id", "eos_token_id", None),
        ),
        fixed={"type_vocab_size": 0, "norm_epsilon": 1e-12, "head_activation": None, "head_norm_epsilon": None},
        dims=dims,
        required={},
        backbone=_backbone,
        heads={
            "DistilBertModel": head("DistilBertModel", []),
            "DistilBertBackbone": head("DistilBertModel", [], alone=True),
            "DistilBertForMaskedLM": head("DistilBertForMaskedLM", _MASKED_TOKENS, required=TIED),
            "DistilBertForSequenceClassification": head("DistilBertForSequenceClassification", [*_HIDDEN, *CLASSIFIER]),
            "DistilBertForTokenClassification": head("DistilBertForTokenClassification", CLASSIFIER),
            "DistilBertForQuestionAnswering": head("DistilBertForQuestionAnswering", SPAN, peer_fields=START_AND_END),
            "DistilBertForMultipleChoice": head("DistilBertForMultipleChoice", [*_HIDDEN, *CHOICE]),
        },
        ignored=(r"(distilbert\.)?embeddings\.position_ids",),
    ),
)
