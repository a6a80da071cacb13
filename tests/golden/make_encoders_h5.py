"""Makes electra_h5/, mpnet_h5/, albert_h5/, longformer_h5/, esm_h5/: models of TensorFlow classes, by each naming.

    TF_USE_LEGACY_KERAS=1 PYTHONPATH=tests python tests/golden/make_encoders_h5.py [FAMILY ...]

What `make_h5_namings.py` says of directories and needs holds here, too.
"""

from __future__ import annotations

import sys
from pathlib import Path

import tensorflow as tf
from golden import make_h5_namings

BERT = make_h5_namings.BERT
HEADS = ("MaskedLM", "SequenceClassification", "TokenClassification", "QuestionAnswering", "MultipleChoice")


def cases_of(name: str, fields: dict, *further: str, heads: tuple[str, ...] = HEADS) -> dict[str, dict]:
    return dict.fromkeys([f"{name}Model", *(f"{name}For{head}" for head in (*heads, *further))], fields)


ESM = {
    **{name: x for name, x in BERT.items() if name != "type_vocab_size"},
    **{"position_embedding_type": "rotary", "token_dropout": True, "pad_token_id": 1, "mask_token_id": 7},
    "num_hidden_layers": 2,
}
LEARNED = {"position_embedding_type": "absolute", "emb_layer_norm_before": True}

CASES = {
    "electra": cases_of("Electra", {**BERT, "embedding_size": 5}, "PreTraining"),
    "mpnet": cases_of("MPNet", {name: x for name, x in BERT.items() if name != "type_vocab_size"}),
    "albert": cases_of("Albert", {**BERT, "embedding_size": 5, "num_hidden_layers": 2}, "PreTraining"),
    "longformer": cases_of("Longformer", {**BERT, "attention_window": 4}),
    "esm": {**cases_of("Esm", ESM, heads=HEADS[:3]), "EsmForMaskedLM-learned": {**ESM, **LEARNED}},
}

if __name__ == "__main__":
    tf.config.set_visible_devices([], "GPU")
    for family in sys.argv[1:] or CASES:
        make_h5_namings.write(Path(__file__).with_name(f"{family}_h5"), CASES[family])
