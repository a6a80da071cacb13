"""Makes electra/, mpnet/, albert/, esm/: small random models of every class, and what Transformers 5.23 gives.

    PYTHONPATH=tests python tests/golden/make_encoders.py [FAMILY ...]

What a directory holds, and what is needed, is what `make_bert.py` says.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from golden import make_bert

BERT = make_bert.BERT
NARROW = {**BERT, "embedding_size": 11}
HEADS = ("MaskedLM", "SequenceClassification", "TokenClassification", "QuestionAnswering", "MultipleChoice")


def cases_of(name: str, fields: dict, head: dict, **further: tuple[str, dict]) -> dict[str, tuple[str, dict]]:
    """Of each class a case, `head` being what is other in the models of which blocks are not what is tested."""
    small = {**fields, **head}
    return {
        "model": (f"{name}Model", fields),
        "masked": (f"{name}ForMaskedLM", {**fields, "hidden_act": "relu", "layer_norm_eps": 1e-3}),
        "sequence": (f"{name}ForSequenceClassification", {**small, "num_labels": 5}),
        "token": (f"{name}ForTokenClassification", {**small, "num_labels": 5}),
        "answer": (f"{name}ForQuestionAnswering", small),
        "choice": (f"{name}ForMultipleChoice", small),
        **further,
    }


ONE_LAYER = {"num_hidden_layers": 1}
MPNET = {name: x for name, x in BERT.items() if name != "type_vocab_size"}
ALBERT = {**NARROW, "num_hidden_layers": 3, "num_hidden_groups": 2, "classifier_dropout_prob": 0.0}
ESM = {
    **{name: x for name, x in MPNET.items() if name != "hidden_act"},
    **{"hidden_size": 18, "position_embedding_type": "rotary", "token_dropout": True},
    **{"pad_token_id": 1, "mask_token_id": 7, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
}
LEARNED = {"position_embedding_type": "absolute", "emb_layer_norm_before": True}
CASES = {
    "electra": cases_of(
        "Electra",
        NARROW,
        ONE_LAYER,
        pretraining=("ElectraForPreTraining", {**NARROW, "hidden_act": "silu"}),
        wide=("ElectraModel", {**BERT, **ONE_LAYER, "embedding_size": 15}),
        plain_choice=("ElectraForMultipleChoice", {**NARROW, **ONE_LAYER, "summary_activation": ""}),
    ),
    "mpnet": cases_of(
        "MPNet",
        MPNET,
        ONE_LAYER,
        padding=("MPNetModel", {**MPNET, **ONE_LAYER, "pad_token_id": 4, "relative_attention_num_buckets": 37}),
    ),
    "albert": cases_of(
        "Albert",
        ALBERT,
        {"num_hidden_layers": 2, "num_hidden_groups": 1},
        pretraining=("AlbertForPreTraining", ALBERT),
        inner=("AlbertModel", {**ALBERT, "inner_group_num": 2, "embedding_size": 15}),
    ),
    "esm": {
        "model": ("EsmModel", ESM),
        "learned": ("EsmModel", {**ESM, **LEARNED, "pad_token_id": 4}),
        "masked": ("EsmForMaskedLM", {**ESM, "layer_norm_eps": 1e-3}),
        "masked_learned": ("EsmForMaskedLM", {**ESM, **ONE_LAYER, **LEARNED, "token_dropout": False}),
        "sequence": ("EsmForSequenceClassification", {**ESM, **ONE_LAYER, "num_labels": 5}),
        "token": ("EsmForTokenClassification", {**ESM, **ONE_LAYER, "num_labels": 5, "rope_theta": 100.0}),
    },
}


def make_inputs(name: str, config, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """BERT's, as far as the model has them; MPNet and ESM count positions themselves, and skip padding."""
    types = not name.startswith(("MPNet", "Esm"))
    if not types:
        config.type_vocab_size = 1
    given = make_bert.make_inputs(name, config, rng)
    if not types:
        ids = given["input_ids"]
        padding = 1 if "MPNet" in name else config.pad_token_id
        ids[(ids == padding) & (given["attention_mask"] == 1)] = 2  # torch does not train the padding's row
        ids[-1, ..., 5] = padding
        del given["position_ids"]
    if "Esm" in name:
        ids[0, ::3] = ids[1, 2] = config.mask_token_id
    return {key: x for key, x in given.items() if types or key != "token_type_ids"}


def make_labels(name: str, config, given: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    labels = make_bert.make_labels(name, config, given, rng)
    if name == "ElectraForPreTraining":
        return {"labels": rng.integers(0, 2, given["input_ids"].shape)}
    if name == "AlbertForPreTraining":
        labels["sentence_order_label"] = labels.pop("next_sentence_label")
    return labels


if __name__ == "__main__":
    for family in sys.argv[1:] or CASES:
        make_bert.write(Path(__file__).with_name(family), CASES[family], make_inputs, make_labels)
