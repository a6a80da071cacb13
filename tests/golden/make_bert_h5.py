"""Makes bert_h5/: small random BERTs of Transformers' TensorFlow classes, and what these compute.

    TF_USE_LEGACY_KERAS=1 PYTHONPATH=tests python tests/golden/make_bert_h5.py [DIRECTORY]

What `make_h5.py` says of directories and needs holds here, too.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import transformers
from golden.make_h5 import BATCH, CHOICES, LENGTH, flat

FIELDS = {
    "vocab_size": 37,
    "max_position_embeddings": 11,
    "type_vocab_size": 3,
    "hidden_size": 6,
    "num_hidden_layers": 1,
    "num_attention_heads": 3,
    "intermediate_size": 7,
}
CASES = {
    "model": "TFBertModel",
    "masked": "TFBertForMaskedLM",
    "next": "TFBertForNextSentencePrediction",
    "choice": "TFBertForMultipleChoice",
}


def make_inputs(name: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Row 0 is full, row 1 padded at the right, row 2 at the left."""
    shape = (BATCH, CHOICES, LENGTH) if "Choice" in name else (BATCH, LENGTH)
    mask = np.ones(shape, "int32")
    mask[1, ..., 5:] = 0
    mask[2, ..., :3] = 0
    ids = (mask * rng.integers(1, FIELDS["vocab_size"], shape)).astype("int32")
    types = rng.integers(0, FIELDS["type_vocab_size"], shape).astype("int32")
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


def main(directory: Path) -> None:
    for seed, (case, name) in enumerate(CASES.items()):
        rng = np.random.default_rng(seed)
        given = make_inputs(name, rng)
        model = getattr(transformers, name)(transformers.BertConfig(**FIELDS))
        model(given)  # which builds it
        for weight in model.weights:
            weight.assign(rng.normal(1.0 if "gamma" in weight.name else 0.0, 0.3, weight.shape))
        model.save_pretrained(directory / case)
        outputs = model(given, output_attentions=True, output_hidden_states=True)
        expected = flat(outputs)
        if "pooler_output" in outputs:
            expected |= {key: outputs[key].numpy() for key in ("last_hidden_state", "pooler_output")}
        expected |= {f"given/{name}": x for name, x in given.items()}
        np.savez_compressed(directory / case / "expected.npz", **expected)


if __name__ == "__main__":
    tf.config.set_visible_devices([], "GPU")
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("bert_h5"))
