"""Makes t5_h5/: small random T5s of Transformers' TensorFlow classes, and what these compute.

    TF_USE_LEGACY_KERAS=1 PYTHONPATH=tests python tests/golden/make_t5_h5.py [DIRECTORY]

What `make_h5.py` says of directories and needs holds here, too.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import transformers

BATCH, SOURCE, TARGET = 3, 7, 5
FIELDS = {
    "vocab_size": 37,
    "d_model": 6,
    "d_kv": 5,
    "d_ff": 7,
    "num_layers": 2,
    "num_decoder_layers": 1,
    "num_heads": 3,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 5,
    "decoder_start_token_id": 0,
}
CASES = {
    "first": ("TFT5ForConditionalGeneration", {}),
    "second": (
        "TFT5ForConditionalGeneration",
        {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    ),
    "encoder": ("TFT5EncoderModel", {}),
}


def make_inputs(name: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Row 0 of the source is full, row 1 padded at the right, row 2 at the left."""
    mask = np.ones((BATCH, SOURCE), "int32")
    mask[1, 5:] = 0
    mask[2, :3] = 0
    given = {"input_ids": mask * rng.integers(1, FIELDS["vocab_size"], mask.shape, "int32"), "attention_mask": mask}
    if "Conditional" in name:
        given["decoder_input_ids"] = rng.integers(0, FIELDS["vocab_size"], (BATCH, TARGET), "int32")
    return given


def flat(outputs) -> dict[str, np.ndarray]:
    """The tensors of a model's outputs, those of each layer numbered."""
    found = {}
    for name, value in outputs.items():
        if isinstance(value, tuple) and all(map(tf.is_tensor, value)):
            found.update({f"{name}/{i}": x for i, x in enumerate(value)})
        elif name in ("logits", "last_hidden_state"):
            found[name] = value
    return {name: x.numpy() for name, x in found.items()}


def main(directory: Path) -> None:
    for seed, (case, (name, fields)) in enumerate(CASES.items()):
        rng = np.random.default_rng(seed)
        given = make_inputs(name, rng)
        model = getattr(transformers, name)(transformers.T5Config(**FIELDS, **fields))
        model(given)  # which builds it
        for weight in model.weights:
            weight.assign(rng.normal(1.0 if "layer_norm" in weight.name else 0.0, 0.3, weight.shape))
        model.save_pretrained(directory / case)
        extras = {} if "Encoder" in name else {"use_cache": False}
        expected = flat(model(given, **extras, output_attentions=True, output_hidden_states=True))
        expected |= {f"given/{key}": x for key, x in given.items()}
        np.savez_compressed(directory / case / "expected.npz", **expected)


if __name__ == "__main__":
    tf.config.set_visible_devices([], "GPU")
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("t5_h5"))
