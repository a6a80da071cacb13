"""Makes h5/: small random GPT-1s and GPT-2s of Transformers' TensorFlow classes, and what these compute.

    TF_USE_LEGACY_KERAS=1 python tests/golden/make_h5.py [DIRECTORY]

A model's directory holds `config.json` and `tf_model.h5`, as `save_pretrained` writes them, and `expected.npz`: its
inputs (`given/NAME`) and its outputs (`NAME`). Needs TensorFlow 2.19, tf-keras 2.19 and Transformers 4.57, the last one
with such classes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import transformers

BATCH, CHOICES, LENGTH, PAD = 3, 2, 7, 5
FIELDS = {
    "vocab_size": 37,
    "n_positions": 11,
    "n_embd": 6,
    "n_layer": 2,
    "n_head": 3,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": PAD,
}
CASES = {
    "gpt2_lm": ("TFGPT2LMHeadModel", {}),
    "gpt2_sequence": ("TFGPT2ForSequenceClassification", {"num_labels": 4}),
    "gpt2_double": ("TFGPT2DoubleHeadsModel", {"num_labels": 1, "n_layer": 1}),
    "gpt1_lm": ("TFOpenAIGPTLMHeadModel", {}),
    "gpt1_sequence": ("TFOpenAIGPTForSequenceClassification", {"num_labels": 4}),
    "gpt1_double": ("TFOpenAIGPTDoubleHeadsModel", {"num_labels": 1, "n_layer": 1}),
}


def make_inputs(name: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Row 0 is full, row 1 padded at the right, row 2 at the left."""
    shape = (BATCH, CHOICES, LENGTH) if "Double" in name else (BATCH, LENGTH)
    mask = np.ones(shape, "int32")
    mask[1, ..., 5:] = 0
    mask[2, ..., :3] = 0
    ids = np.where(mask, rng.integers(PAD + 1, FIELDS["vocab_size"], shape), PAD).astype("int32")
    given = {"input_ids": ids, "attention_mask": mask}
    if "Double" in name:
        given["mc_token_ids"] = np.array([[6, 3], [4, 0], [5, 6]], "int32")
    return given


def make_model(name: str, fields: dict, given: dict[str, np.ndarray], rng: np.random.Generator):
    """With weights, biases too, that all leave their mark on the outputs."""
    cls = getattr(transformers, name)
    model = cls(cls.config_class(**{**FIELDS, **fields}))
    model(given)  # which builds it
    for weight in model.weights:
        weight.assign(rng.normal(1.0 if "gamma" in weight.name else 0.0, 0.3, weight.shape))
    return model


def flat(outputs) -> dict[str, np.ndarray]:
    """The tensors of a model's outputs, those of each layer numbered."""
    found = {}
    for name, value in outputs.items():
        if name in ("hidden_states", "attentions"):
            found.update({f"{name}/{i}": x for i, x in enumerate(value)})
        elif "logits" in name:
            found[name] = value
    return {name: x.numpy() for name, x in found.items()}


def main(directory: Path) -> None:
    for seed, (case, (name, fields)) in enumerate(CASES.items()):
        rng = np.random.default_rng(seed)
        given = make_inputs(name, rng)
        model = make_model(name, fields, given, rng)
        model.save_pretrained(directory / case)
        (directory / case / "generation_config.json").unlink(missing_ok=True)
        expected = flat(model(given, output_attentions=True, output_hidden_states=True))
        expected |= {f"given/{name}": x for name, x in given.items()}
        np.savez_compressed(directory / case / "expected.npz", **expected)


if __name__ == "__main__":
    tf.config.set_visible_devices([], "GPU")
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("h5"))
