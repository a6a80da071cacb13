"""RoBERTa as Transformers keeps it, and those that are RoBERTas by other names."""

from __future__ import annotations

from keras_tx.convert.family import Family, Setting
from keras_tx.convert.table import linear, norm, same
from keras_tx.models.bert.huggingface import (
    CHOICE,
    CLASSIFIER,
    FIXED,
    REQUIRED,
    SETTINGS,
    SPAN,
    START_AND_END,
    TIED,
    dims,
    encoder,
    head,
    pooler,
)

_POOLER = pooler("roberta.")
MASKED_TOKENS = [
    *linear("lm_head.dense", "D D", "head/transform"),
    *norm("lm_head.layer_norm", "D", "head/transform_norm"),
    same("lm_head.bias", "V", "head/output_bias", copies=("lm_head.decoder.bias",)),
]
FIRST_TOKEN = [
    *linear("classifier.dense", "D D", "head/hidden"),
    *linear("classifier.out_proj", "N D", "head/classifier"),
]


def family(model_type: str, name: str, vocab_size: int) -> Family:
    """A family whose classes begin with `name`; `vocab_size` is what a config has that does not say."""
    return Family(
        model_type=model_type,
        prefix="roberta.",
        settings=(
            Setting("vocab_size", "vocab_size", vocab_size),
            Setting("pad_token_id", "pad_token_id", 1),
            Setting("bos_token_id", "bos_token_id", 0),
            Setting("eos_token_id", "eos_token_id", 2),
            *SETTINGS,
        ),
        fixed=FIXED,
        required=REQUIRED,
        dims=dims,
        backbone=encoder("roberta.", "lm_head.decoder.weight"),
        heads={
            f"{name}Model": head(f"{name}Model", _POOLER),
            f"{name}Backbone": head(f"{name}Model", _POOLER, alone=True),
            f"{name}ForMaskedLM": head(f"{name}ForMaskedLM", MASKED_TOKENS, required=TIED),
            f"{name}ForSequenceClassification": head(f"{name}ForSequenceClassification", FIRST_TOKEN),
            f"{name}ForTokenClassification": head(f"{name}ForTokenClassification", CLASSIFIER),
            f"{name}ForQuestionAnswering": head(f"{name}ForQuestionAnswering", SPAN, peer_fields=START_AND_END),
            f"{name}ForMultipleChoice": head(f"{name}ForMultipleChoice", [*_POOLER, *CHOICE]),
        },
        tensorflow={"pad_token_id": 1},  # always, where torch counts positions without the config's
        ignored=(r"(roberta\.)?embeddings\.position_ids",),
    )


FAMILIES = (family("roberta", "Roberta", 50265),)
