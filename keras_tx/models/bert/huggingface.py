"""BERT as Transformers keeps it, and what those that extend it have in common with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras_tx.convert.family import ACTIVATIONS, Family, Head, Setting
from keras_tx.convert.table import Rule, linear, norm, prefixed, same

BLOCK = [
    *linear("attention.self.query", "D D", "attention/query"),
    *linear("attention.self.key", "D D", "attention/key"),
    *linear("attention.self.value", "D D", "attention/value"),
    *linear("attention.output.dense", "D D", "attention/output"),
    *norm("attention.output.LayerNorm", "D", "attention_norm"),
    *linear("intermediate.dense", "F D", "feed_forward/up"),
    *linear("output.dense", "D F", "feed_forward/down"),
    *norm("output.LayerNorm", "D", "feed_forward_norm"),
]


def encoder(
    prefix: str, projection: str, *, layers: str = "encoder.layer.", block: Sequence[Rule] = BLOCK
) -> Callable[[Mapping[str, Any]], list[Rule]]:
    """The rules of an encoder.

    Args:
        prefix: what the names of its tensors begin with.
        projection: the tensor of a masked language model that, tied, repeats the token table.
        layers: what the names of its blocks' tensors go on with, before the block's index.
        block: the rules of a block, without these.
    """

    def rules(fields: Mapping[str, Any]) -> list[Rule]:
        blocks = [
            rule
            for i in range(fields["num_layers"])
            for rule in prefixed(f"{prefix}{layers}{i}.", f"backbone/block_{i}/", block)
        ]
        return [*embeddings(fields, prefix, projection), *blocks]

    return rules


def embeddings(fields: Mapping[str, Any], prefix: str, projection: str) -> list[Rule]:
    """The rules of an encoder's embeddings; `prefix` and `projection` are as of `encoder`."""
    tokens = same(
        f"{prefix}embeddings.word_embeddings.weight",
        "V E",
        "backbone/token_embedding/embeddings",
        copies=(projection,) if fields["tie_embeddings"] else (),
    )
    types = [same("token_type_embeddings.weight", "K E", "token_type_embedding/embeddings")]
    others = [
        *(types if fields["type_vocab_size"] else ()),
        same("position_embeddings.weight", "P E", "position_embedding/embeddings"),
        *norm("LayerNorm", "E", "embedding_norm"),
    ]
    return [tokens, *prefixed(f"{prefix}embeddings.", "backbone/", others)]


def pooler(prefix: str) -> list[Rule]:
    """The rules of an encoder's pooler."""
    return linear(f"{prefix}pooler.dense", "D D", "backbone/pooler")


_POOLER = pooler("bert.")
_MASKED_TOKENS = [
    *linear("cls.predictions.transform.dense", "D D", "head/transform"),
    *norm("cls.predictions.transform.LayerNorm", "D", "head/transform_norm"),
    same("cls.predictions.bias", "V", "head/output_bias", copies=("cls.predictions.decoder.bias",)),
]
_NEXT_SENTENCE = linear("cls.seq_relationship", "2 D", "head/seq_relationship")
CLASSIFIER = linear("classifier", "N D", "head/classifier")
CHOICE = linear("classifier", "1 D", "head/classifier")
SPAN = linear("qa_outputs", "2 D", "head/qa_outputs")

TIED = {"tie_word_embeddings": True}
START_AND_END = {"num_labels": 2, "label_names": None}

SETTINGS = (
    Setting("max_position_embeddings", "max_positions", 512),
    Setting("type_vocab_size", "type_vocab_size", 2),
    Setting("num_hidden_layers", "num_layers", 12),
    Setting("num_attention_heads", "num_heads", 12),
    Setting("hidden_size", "d_model", 768),
    Setting("intermediate_size", "d_ff", 3072),
    Setting("hidden_act", "activation", "gelu", names=ACTIVATIONS),
    Setting("layer_norm_eps", "norm_epsilon", 1e-12),
    Setting("hidden_dropout_prob", "hidden_dropout", 0.1),
    Setting("attention_probs_dropout_prob", "attention_dropout", 0.1),
    Setting("classifier_dropout", "classifier_dropout", None),
    Setting("tie_word_embeddings", "tie_embeddings", True),
    Setting("initializer_range", "initializer_range", 0.02),
)
FIXED = {"embedding_dim": None, "head_activation": None, "head_norm_epsilon": None}
REQUIRED = {"position_embedding_type": "absolute", "is_decoder": False, "add_cross_attention": False}


def head(architecture: str, rules: list[Rule], **options: Any) -> Head:
    """A head whose rules do not depend on the config."""
    return Head(architecture, lambda fields: rules, **options)


def dims(fields: Mapping[str, Any]) -> dict[str, int]:
    return {
        "V": fields["vocab_size"],
        "P": fields["max_positions"],
        "K": fields["type_vocab_size"],
        "D": fields["d_model"],
        "E": fields["embedding_dim"] or fields["d_model"],
        "F": fields["d_ff"],
        "N": fields["num_labels"],
    }


def _normalized(fields: Mapping[str, Any]) -> dict[str, Any]:
    usual = {
        "embedding_dim": fields["d_model"],
        "head_activation": fields["activation"],
        "head_norm_epsilon": fields["norm_epsilon"],
    }
    return {name: None if name in usual and value == usual[name] else value for name, value in fields.items()}


BERT = Family(
    model_type="bert",
    prefix="bert.",
    settings=(
        Setting("vocab_size", "vocab_size", 30522),
        Setting("pad_token_id", "pad_token_id", 0),
        Setting("bos_token_id", "bos_token_id", None),
        Setting("eos_token_id", "eos_token_id", None),
        *SETTINGS,
    ),
    fixed=FIXED,
    required=REQUIRED,
    dims=dims,
    backbone=encoder("bert.", "cls.predictions.decoder.weight"),
    heads={
        "BERTModel": head("BertModel", _POOLER),
        "BERTBackbone": head("BertModel", _POOLER, alone=True),
        "BERTForPreTraining": head("BertForPreTraining", [*_MASKED_TOKENS, *_POOLER, *_NEXT_SENTENCE], required=TIED),
        "BERTForMaskedLM": head("BertForMaskedLM", _MASKED_TOKENS, required=TIED),
        "BERTForNextSentencePrediction": head("BertForNextSentencePrediction", [*_POOLER, *_NEXT_SENTENCE]),
        "BERTForSequenceClassification": head("BertForSequenceClassification", [*_POOLER, *CLASSIFIER]),
        "BERTForTokenClassification": head("BertForTokenClassification", CLASSIFIER),
        "BERTForQuestionAnswering": head("BertForQuestionAnswering", SPAN, peer_fields=START_AND_END),
        "BERTForMultipleChoice": head("BertForMultipleChoice", [*_POOLER, *CHOICE]),
    },
    normalized=_normalized,
    ignored=(r"(bert\.)?embeddings\.position_ids",),
)

FAMILIES = (BERT,)
