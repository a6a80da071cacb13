"""BERT as KerasHub keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_tx.convert.family import Head, Setting
from keras_tx.convert.keras_hub import TRANSFORMER_BLOCK, KerasHubFamily, blocks, dense, layer, norm
from keras_tx.convert.table import Rule


def _backbone(fields: Mapping[str, Any]) -> list[Rule]:
    return [
        *layer("layers/reversible_embedding", "V D", "backbone/token_embedding", "embeddings"),
        *layer("layers/embedding", "K D", "backbone/token_type_embedding", "embeddings"),
        *layer("layers/position_embedding", "P D", "backbone/position_embedding", "embeddings"),
        *norm("layers/layer_normalization", "backbone/embedding_norm"),
        *blocks("layers/transformer_encoder", "backbone/block", fields["num_layers"], TRANSFORMER_BLOCK),
    ]


_POOLER = dense("layers/dense", "D D, D", "backbone/pooler")
_MASKED_TOKENS = [
    *dense("task/layers/masked_lm_head/_intermediate_dense", "D D, D", "head/transform"),
    *norm("task/layers/masked_lm_head/_intermediate_layer_norm", "head/transform_norm"),
    *layer("task/layers/masked_lm_head", "V", "head", "output_bias"),
]
_CLASSIFIER = dense("task/layers/dense", "D N, N", "head/classifier")


def _head(task: str, *rules: Rule, **options: Any) -> Head:
    return Head(task, lambda fields: list(rules), **options)


def _dims(fields: Mapping[str, Any]) -> dict[str, int]:
    return {
        "V": fields["vocab_size"],
        "P": fields["max_positions"],
        "K": fields["type_vocab_size"],
        "D": fields["d_model"],
        "H": fields["num_heads"],
        "A": fields["d_model"] // fields["num_heads"],
        "F": fields["d_ff"],
        "N": fields["num_labels"],
    }


BERT = KerasHubFamily(
    model_type="keras_hub/BertBackbone",
    prefix="",
    settings=(
        Setting("vocabulary_size", "vocab_size", None),
        Setting("max_sequence_length", "max_positions", 512),
        Setting("num_segments", "type_vocab_size", 2),
        Setting("num_layers", "num_layers", None),
        Setting("num_heads", "num_heads", None),
        Setting("hidden_dim", "d_model", None),
        Setting("intermediate_dim", "d_ff", None),
        Setting("dropout", "hidden_dropout", 0.1),
        Setting("dropout", "attention_dropout", 0.1),
        Setting("task.num_classes", "num_labels", 2),
        Setting("task.dropout", "classifier_dropout", None),
    ),
    fixed={"activation": "gelu_tanh", "norm_epsilon": 1e-12, "tie_embeddings": True, "embedding_dim": None},
    required={},
    dims=_dims,
    backbone=_backbone,
    heads={
        "BERTModel": _head("BertBackbone", *_POOLER),
        "BERTBackbone": _head("BertBackbone", *_POOLER, alone=True),
        "BERTForMaskedLM": _head("BertMaskedLM", *_MASKED_TOKENS),
        "BERTForSequenceClassification": _head(
            "BertTextClassifier", *_POOLER, *_CLASSIFIER, required={"task.activation": "linear"}
        ),
        "BERTForTokenClassification": _head(""),
        "BERTForQuestionAnswering": _head(""),
        "BERTForPreTraining": _head("", *_POOLER),
        "BERTForNextSentencePrediction": _head("", *_POOLER),
        "BERTForMultipleChoice": _head("", *_POOLER),
    },
    unread=("initializer_range", "pad_token_id", "bos_token_id", "eos_token_id"),
    of_head={"BERTForMaskedLM": {"head_activation": "gelu", "head_norm_epsilon": 1e-5}},
)
"""Its masked language model's head has the exact GELU and Keras's epsilon, unlike the blocks."""

FAMILIES = (BERT,)
