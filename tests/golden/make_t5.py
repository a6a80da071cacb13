"""Makes t5/: small random T5s of every class, what Transformers computes with them, and what it generates.

    PYTHONPATH=tests python tests/golden/make_t5.py [DIRECTORY]

A model's directory holds what `save_pretrained` writes, and `expected.npz`: its inputs and labels (`given/NAME`), its
outputs (`NAME`), and the losses of five steps of AdamW (`steps`) of language models; `generation.npz` beside them holds
tokens and scores, for the choices of options in its `facts`. Needs torch and transformers: 5.23 makes the models whose
output projection is tied, 4.57 the others, which 5.23 cannot make anew.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from golden.make_gpt import make_model, train
from transformers.models.t5.modeling_t5 import T5LayerNorm

BATCH, SOURCE, TARGET = 3, 7, 5
PAD, EOS = 0, 1

FIRST = {
    "vocab_size": 61,
    "d_model": 17,
    "d_kv": 7,
    "d_ff": 29,
    "num_layers": 3,
    "num_decoder_layers": 2,  # generation by 5.23 fails where the decoder is the deeper one
    "num_heads": 3,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 5,
    "decoder_start_token_id": PAD,
    "pad_token_id": PAD,
    "eos_token_id": EOS,
}
SECOND = {
    **FIRST,
    "vocab_size": 53,
    "num_decoder_layers": None,
    "feed_forward_proj": "gated-gelu",
    "tie_word_embeddings": False,
    "decoder_start_token_id": 3,
}
HEAD = {**FIRST, "num_layers": 1, "num_decoder_layers": None, "num_labels": 5}
"""Of models whose blocks the others stand for."""

CASES = {
    "first": ("T5ForConditionalGeneration", FIRST),
    "second": ("T5ForConditionalGeneration", SECOND),
    "encoder": ("T5EncoderModel", {**FIRST, "feed_forward_proj": "gated-silu", "layer_norm_epsilon": 1e-3}),
    "sequence": ("T5ForSequenceClassification", HEAD),
    "token": ("T5ForTokenClassification", {**HEAD, "feed_forward_proj": "gelu"}),
    "answer": ("T5ForQuestionAnswering", {**HEAD, "num_labels": 2, "feed_forward_proj": "gated-relu"}),
}

ENDS = {"eos_token_id": [3, 31, 26]}
RULES = {"no_repeat_ngram_size": 2, "bad_words_ids": [[12], [4, 9], [2, 7, 9]], "repetition_penalty": 1.4}
BEAMS = {"num_beams": 3, "max_new_tokens": 13, **ENDS}
OPTIONS = [
    {},
    {"max_new_tokens": 13, **ENDS},
    {"max_length": 11, **ENDS, **RULES, "min_length": 7},
    BEAMS,
    {**BEAMS, "length_penalty": 2.0, "num_return_sequences": 3},
    {**BEAMS, "length_penalty": -1.0, "early_stopping": True, "num_return_sequences": 2},
    {**BEAMS, **RULES, "early_stopping": "never", "min_new_tokens": 5},
]


def make_t5(name: str, fields: dict, seed: int) -> torch.nn.Module:
    """With norms and tables, too, that leave their mark on the outputs."""
    model = make_model(name, fields, seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, T5LayerNorm):
                module.weight += 1.0
            if hasattr(module, "relative_attention_bias"):
                module.relative_attention_bias.weight *= 5.0
    return model


def make_inputs(name: str, config, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Row 0 of the source is full, row 1 padded at the right, row 2 at the left; each ends in the end token."""
    mask = np.ones((BATCH, SOURCE), int)
    mask[1, 5:] = 0
    mask[2, :3] = 0
    ids = np.where(mask, rng.integers(EOS + 1, config.vocab_size, mask.shape), PAD)
    ids[np.arange(BATCH), [SOURCE - 1, 4, SOURCE - 1]] = EOS
    given = {"input_ids": ids, "attention_mask": mask}
    if name == "T5ForConditionalGeneration" and config.feed_forward_proj != "relu":
        target = np.ones((BATCH, TARGET), int)
        target[1, 3:] = 0
        given["decoder_input_ids"] = rng.integers(0, config.vocab_size, target.shape)
        given["decoder_attention_mask"] = target
    return given


def make_labels(name: str, config, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Some do not count."""
    if "Conditional" in name:
        labels = rng.integers(0, config.vocab_size, (BATCH, TARGET))
        labels[1, 3:] = labels[2, 1] = -100
        return {"labels": labels}
    if "Question" in name:
        return {"start_positions": np.array([1, 0, 4]), "end_positions": np.array([3, SOURCE + 2, 6])}
    if "Token" in name:
        labels = rng.integers(0, config.num_labels, (BATCH, SOURCE))
        labels[1, 5:] = -100
        return {"labels": labels}
    return {"labels": rng.integers(0, config.num_labels, BATCH)} if "Sequence" in name else {}


def flat(outputs) -> dict[str, np.ndarray]:
    """The tensors of a model's outputs, those of each layer numbered."""
    found = {}
    for name, value in outputs.items():
        if isinstance(value, tuple) and all(map(torch.is_tensor, value)):
            found.update({f"{name}/{i}": x for i, x in enumerate(value)})
        elif torch.is_tensor(value) and name != "encoder_last_hidden_state":  # the last of those of the encoder
            found[name] = value
    return {name: x.detach().numpy() for name, x in found.items()}


def compute(model: torch.nn.Module, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All outputs."""
    tensors = {name: torch.from_numpy(x) for name, x in given.items()}
    extras = {} if "Encoder" in type(model).__name__ or "Token" in type(model).__name__ else {"use_cache": False}
    return flat(model.eval()(**tensors, **extras, output_attentions=True, output_hidden_states=True))


def generated(model: torch.nn.Module, given: dict[str, np.ndarray], options: dict) -> dict[str, np.ndarray]:
    tensors = {name: torch.from_numpy(given[name]) for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        output = model.generate(**tensors, **options, do_sample=False, return_dict_in_generate=True, output_scores=True)
    arrays = {"sequences": output.sequences.numpy()}
    return arrays | ({"scores": output.sequences_scores.numpy()} if "num_beams" in options else {})


def add_generation(path: Path, case: str, model: torch.nn.Module, given: dict[str, np.ndarray]) -> None:
    """Puts a model's into the file of all, in place of what stood there of it."""
    arrays = dict(np.load(path)) if path.exists() else {}
    arrays = {key: x for key, x in arrays.items() if not key.startswith(case)}
    for i, options in enumerate(OPTIONS):
        arrays |= {f"{case}/{i}/{name}": x for name, x in generated(model, given, options).items()}
    arrays["facts"] = json.dumps({"options": OPTIONS})
    np.savez_compressed(path, **arrays)


def main(directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    version = int(transformers.__version__.split(".")[0])
    for seed, (case, (name, fields)) in enumerate(CASES.items()):
        if version != (5 if fields.get("tie_word_embeddings", True) else 4):
            continue
        rng = np.random.default_rng(seed)
        model = make_t5(name, fields, seed)
        model.save_pretrained(directory / case)
        given = make_inputs(name, model.config, rng)
        given |= make_labels(name, model.config, rng)
        expected = compute(model, given) | {f"given/{key}": x for key, x in given.items()}
        if "Conditional" in name:
            add_generation(directory / "generation.npz", case, model, given)
            expected["steps"] = np.array(train(model, {key: torch.from_numpy(x) for key, x in given.items()}))
        np.savez_compressed(directory / case / "expected.npz", **expected)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("t5"))
