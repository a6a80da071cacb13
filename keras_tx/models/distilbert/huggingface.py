"""DistilBERT as Transformers keeps it."""

from __future__ import annotations

from keras_tx.convert.family import ACTIVATIONS, Family, Setting
from keras_tx.convert.table import linear, norm, same
from keras_tx.models.bert.huggingface import CHOICE, CLASSIFIER, FIXED, SPAN, START_AND_END, TIED, dims, encoder, head

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
            Setting("activation", "activation", "gelu", names=ACTIVATIONS),
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
        fixed={**FIXED, "type_vocab_size": 0, "norm_epsilon": 1e-12},
        dims=dims,
        required={},
        backbone=encoder("distilbert.", "vocab_projector.weight", layers="transformer.layer.", block=_BLOCK),
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
