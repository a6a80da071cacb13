"""RoBERTa as Transformers keeps it, and XLM-RoBERTa and CamemBERT, which are RoBERTas by other names."""

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
_MASKED_TOKENS = [
    *linear("lm_head.dense", "D D", "head/transform"),
    *norm("lm_head.layer_norm", "D", "head/transform_norm"),
    same("lm_head.bias", "V", "head/output_bias", copies=("lm_head.decoder.bias",)),
]
_FIRST_TOKEN = [
    *linear("classifier.dense", "D D", "head/hidden"),
    *linear("classifier.out_proj", "N D", "head/classifier"),
]


def _family(model_type: str, name: str, vocab_size: int, *, read_only: bool = False) -> Family:
    """A family whose classes are called so; `vocab_size` is what a config has that does not say."""
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
            "RobertaModel": head(f"{name}Model", _POOLER),
            "RobertaBackbone": head(f"{name}Model", _POOLER, alone=True),
            "RobertaForMaskedLM": head(f"{name}ForMaskedLM", _MASKED_TOKENS, required=TIED),
            "RobertaForSequenceClassification": head(f"{name}ForSequenceClassification", _FIRST_TOKEN),
            "RobertaForTokenClassification": head(f"{name}ForTokenClassification", CLASSIFIER),
            "RobertaForQuestionAnswering": head(f"{name}ForQuestionAnswering", SPAN, peer_fields=START_AND_END),
            "RobertaForMultipleChoice": head(f"{name}ForMultipleChoice", [*_POOLER, *CHOICE]),
        },
        tensorflow={"pad_token_id": 1},  # always, where torch counts positions without the config's
        ignored=(r"(roberta\.)?embeddings\.position_ids",),
        read_only=read_only,
    )


FAMILIES = (
    _family("roberta", "Roberta", 50265),
    _family("xlm-roberta", "XLMRoberta", 30522, read_only=True),
    _family("camembert", "Camembert", 30522, read_only=True),
)
