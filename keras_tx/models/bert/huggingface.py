"""BERT as Transformers keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_tx.convert.family import Family, Head, Setting
from keras_tx.convert.table import Rule, below, linear, norm, same

_BLOCK = [
    *linear("attention.self.query", "D D", "attention/query"),
    *linear("attention.self.key", "D D", "attention/key"),
    *linear("attention.self.value", "D D", "attention/value"),
    *linear("attention.output.dense", "D D", "attention/output"),
    *norm("attention.output.LayerNorm", "D", "attention_norm"),
    *linear("intermediate.dense", "F D", "feed_forward/up"),
    *linear("output.dense", "D F", "feed_forward/down"),
    *norm("output.LayerNorm", "D", "feed_forward_norm"),
]


def _backbone(fields: Mapping[str, Any]) -> list[Rule]:
    copies = ("cls.predictions.decoder.weight",) if fields["tie_embeddings"] else ()
    return [
        same("bert.embeddings.word_embeddings.weight", "V D", "backbone/token_embedding/embeddings", copies=copies),
        same("bert.embeddings.token_type_embeddings.weight", "K D", "backbone/token_type_embedding/embeddings"),
        same("bert.embeddings.position_embeddings.weight", "P D", "backbone/position_embedding/embeddings"),
        *norm("bert.embeddings.LayerNorm", "D", "backbone/embedding_norm"),
        *(
            rule
            for i in range(fields["num_layers"])
            for rule in below(f"bert.encoder.layer.{i}.", f"backbone/block_{i}/", _BLOCK)
        ),
    ]


_POOLER = linear("bert.pooler.dense", "D D", "backbone/pooler")
_MASKED_TOKENS = [
    *linear("cls.predictions.transform.dense", "D D", "head/transform"),
    *norm("cls.predictions.transform.LayerNorm", "D", "head/transform_norm"),
    same("cls.predictions.bias", "V", "head/output_bias", copies=("cls.predictions.decoder.bias",)),
]
_NEXT_SENTENCE = linear("cls.seq_relationship", "2 D", "head/seq_relationship")
_CLASSIFIER = linear("classifier", "N D", "head/classifier")
_CHOICE = linear("classifier", "1 D", "head/classifier")
_SPAN = linear("qa_outputs", "2 D", "head/qa_outputs")

_TIED = {"tie_word_embeddings": True}
_START_AND_END = {"num_labels": 2, "label_names": None}


def _head(architecture: str, rules: list[Rule], **options: Any) -> Head:
    return Head(architecture, lambda fields: rules, **options)


def _dims(fields: Mapping[str, Any]) -> dict[str, int]:
    return {
        "V": fields["vocab_size"],
        "P": fields["max_positions"],
        "K": fields["type_vocab_size"],
        "D": fields["d_model"],
        "F": fields["d_ff"],
        "N": fields["num_labels"],
    }


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    usual = {"head_activation": fields["activation"], "head_norm_epsilon": fields["norm_epsilon"]}
    return {name: None if name in usual and value == usual[name] else value for name, value in fields.items()}


BERT = Family(
    model_type="bert",
    prefix="bert.",
    settings=(
        Setting("vocab_size", "vocab_size", 30522),
        Setting("max_position_embeddings", "max_positions", 512),
        Setting("type_vocab_size", "type_vocab_size", 2),
        Setting("num_hidden_layers", "num_layers", 12),
        Setting("num_attention_heads", "num_heads", 12),
        Setting("hidden_size", "d_model", 768),
        Setting("intermediate_size", "d_ff", 3072),
        Setting("hidden_act", "activation", "gelu"),
        Setting("layer_norm_eps", "norm_epsilon", 1e-12),
        Setting("hidden_dropout_prob", "hidden_dropout", 0.1),
        Setting("attention_probs_dropout_prob", "attention_dropout", 0.1),
        Setting("classifier_dropout", "classifier_dropout", None),
        Setting("tie_word_embeddings", "tie_embeddings", True),
        Setting("initializer_range", "initializer_range", 0.02),
        Setting("pad_token_id", "pad_token_id", 0),
        Setting("bos_token_id", "bos_token_id", None),
        Setting("eos_token_id", "eos_token_id", None),
    ),
    fixed={"head_activation": None, "head_norm_epsilon": None},
    demanded={"position_embedding_type": "absolute", "is_decoder": False, "add_cross_attention": False},
    dims=_dims,
    backbone=_backbone,
    heads={
        "BERTModel": _head("BertModel", _POOLER),
        "BERTBackbone": _head("BertModel", _POOLER, alone=True),
        "BERTForPreTraining": _head("BertForPreTraining", [*_MASKED_TOKENS, *_POOLER, *_NEXT_SENTENCE], demanded=_TIED),
        "BERTForMaskedLM": _head("BertForMaskedLM", _MASKED_TOKENS, demanded=_TIED),
        "BERTForNextSentencePrediction": _head("BertForNextSentencePrediction", [*_POOLER, *_NEXT_SENTENCE]),
        "BERTForSequenceClassification": _head("BertForSequenceClassification", [*_POOLER, *_CLASSIFIER]),
        "BERTForTokenClassification": _head("BertForTokenClassification", _CLASSIFIER),
        "BERTForQuestionAnswering": _head("BertForQuestionAnswering", _SPAN, written=_START_AND_END),
        "BERTForMultipleChoice": _head("BertForMultipleChoice", [*_POOLER, *_CHOICE]),
    },
    plain=_plain,
    ignored=(r"(bert\.)?embeddings\.position_ids",),
)

FAMILIES = (BERT,)
