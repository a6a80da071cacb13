"""Makes deberta/: small random DeBERTas of every class, and what Transformers 5.23 computes with them.

    PYTHONPATH=tests python tests/golden/make_deberta.py [DIRECTORY]

What a directory holds, and what is needed, is what `make_bert.py` says.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from golden import make_bert
from golden.make_encoders import ONE_LAYER, cases_of

DEBERTA = {
    **make_bert.BERT,
    "relative_attention": True,
    "position_buckets": 4,
    "pos_att_type": "p2c|c2p",
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "position_biased_input": False,
    "conv_kernel_size": 3,
    "conv_act": "gelu",
}
PLAIN = {"conv_kernel_size": 0, "norm_rel_ebd": "none", "position_biased_input": True}
CASES = cases_of(
    "DebertaV2",
    DEBERTA,
    {**PLAIN, **ONE_LAYER, "pooler_hidden_act": "tanh"},
    own=("DebertaV2ForMaskedLM", {**DEBERTA, "legacy": False, "share_att_key": False, "type_vocab_size": 0}),
    narrow=("DebertaV2ForMaskedLM", {**DEBERTA, **PLAIN, "embedding_size": 7, "pos_att_type": ["p2c"]}),
    offsets=("DebertaV2Model", {**DEBERTA, "position_buckets": -1, "max_relative_positions": 5}),
    absolute=("DebertaV2Model", {**DEBERTA, **PLAIN, "relative_attention": False}),
)


def make_inputs(name: str, config, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """BERT's; with padding where no head reads it, for what is computed there differs between versions."""
    types = config.type_vocab_size > 0
    if not types:
        config.type_vocab_size = 1
    given = make_bert.make_inputs(name, config, rng)
    ids, seen = given["input_ids"], given["attention_mask"]
    if "Question" in name:
        seen[:] = 1
    if "Sequence" in name or "Choice" in name:  # reads the first token
        seen[2] = 1
    ids[(ids == config.pad_token_id) & (seen == 1)] = 2  # torch does not train the padding's row
    return {key: x for key, x in given.items() if types or key != "token_type_ids"}


if __name__ == "__main__":
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("deberta")
    make_bert.write(directory, CASES, make_inputs)
