"""Makes generation.npz: small random GPT-1 and GPT-2 models, and what Transformers 5.23 generates with them.

    python tests/golden/make_generation.py [OUTPUT [CASES [SEED]]]

With CASES, so many random choices of options take the place of the table below. Needs torch and transformers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import GPT2Config, GPT2LMHeadModel, OpenAIGPTConfig, OpenAIGPTLMHeadModel

VOCAB, POSITIONS, LAYERS, HEADS, WIDTH = 41, 29, 2, 3, 21
SIZES = {"vocab_size": VOCAB, "n_positions": POSITIONS, "n_layer": LAYERS, "n_head": HEADS, "n_embd": WIDTH}
SPECIAL = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
FAMILIES = {"gpt": (OpenAIGPTConfig, OpenAIGPTLMHeadModel), "gpt2": (GPT2Config, GPT2LMHeadModel)}

PROMPTS = [[7, 19, 2, 33, 11], [5, 30, 30, 8, 1], [40, 3, 17, 23, 29]]
PADDED = [[38, 38, 38, 33, 11], [5, 30, 30, 8, 1], [38, 3, 17, 23, 29]]
MASK = [[0, 0, 0, 1, 1], [1, 1, 1, 1, 1], [0, 1, 1, 1, 1]]

LEFT = {"attention_mask": MASK}
ENDS = {"eos_token_id": [13, 22, 35], "pad_token_id": 38}
RULES = {"no_repeat_ngram_size": 2, "bad_words_ids": [[12], [4, 9], [2, 7, 9]]}
BEAMS = {"num_beams": 4, "max_new_tokens": 17, **LEFT, **ENDS}
OPTIONS = [
    {"max_new_tokens": 17, **LEFT, **ENDS},
    BEAMS,
    {**BEAMS, "length_penalty": 0.0, "num_return_sequences": 4},
    {**BEAMS, "length_penalty": 0.6},
    {**BEAMS, "length_penalty": 2.0, "num_return_sequences": 2},
    {**BEAMS, "length_penalty": -1.0},
    {**BEAMS, "early_stopping": True, "num_return_sequences": 4},
    {**BEAMS, "early_stopping": "never", "length_penalty": 2.0, "num_return_sequences": 3},
    {**BEAMS, "early_stopping": "never", "length_penalty": -1.0, "num_return_sequences": 3},
    {"max_length": 19, **LEFT, **ENDS, **RULES, "repetition_penalty": 1.7, "min_length": 11},
    {"max_length": 19, **LEFT, **ENDS, **RULES, "repetition_penalty": 0.6, "min_new_tokens": 9},
    {"num_beams": 3, "max_new_tokens": 13, **LEFT, **ENDS, **RULES, "repetition_penalty": 1.4, "min_new_tokens": 5},
    {"num_beams": 5, "max_new_tokens": 11, "num_return_sequences": 5},
    {"num_beams": 2, "max_new_tokens": 17, "eos_token_id": 13, "pad_token_id": 0, "no_repeat_ngram_size": 1},
    {},
]
DRAWS = [
    {"temperature": 0.8},
    {"temperature": 1.7, "top_k": 9, "top_p": 0.9, "repetition_penalty": 1.3},
    {"top_k": 0, "top_p": 0.8, "min_p": 0.05},
]
"""Ways to draw a token, of which the probabilities are kept."""


def random_model(family: str, seed: int) -> torch.nn.Module:
    """With weights, biases too, that make the tokens vary."""
    config_class, model_class = FAMILIES[family]
    model = model_class(config_class(**SIZES, **SPECIAL)).eval()
    torch.manual_seed(seed)
    for name, weight in model.named_parameters():
        torch.nn.init.normal_(
            weight, float(".ln_" in name and name.endswith("weight")), 0.6 if weight.ndim > 1 else 0.2
        )
    return model


def weights(family: str, model: torch.nn.Module) -> dict[str, np.ndarray]:
    """The model's weights under the paths that they have in keras_tx."""
    table = {name.removeprefix("transformer."): x.detach().numpy() for name, x in model.named_parameters()}
    token, position = ("wte", "wpe") if family == "gpt2" else ("tokens_embed", "positions_embed")
    ours = {
        "token_embedding/embeddings": table[f"{token}.weight"],
        "position_embedding/embeddings": table[f"{position}.weight"],
    }
    kinds = {"weight": ("kernel", "gamma"), "bias": ("bias", "beta")}
    for kind, (linear, norm) in kinds.items():
        for i in range(LAYERS):
            layer = f"block_{i}"
            parts = np.split(table[f"h.{i}.attn.c_attn.{kind}"], 3, axis=-1)
            for part, x in zip(("query", "key", "value"), parts, strict=True):
                ours[f"{layer}/attention/{part}/{linear}"] = x
            ours[f"{layer}/attention/output/{linear}"] = table[f"h.{i}.attn.c_proj.{kind}"]
            ours[f"{layer}/attention_norm/{norm}"] = table[f"h.{i}.ln_1.{kind}"]
            ours[f"{layer}/feed_forward/up/{linear}"] = table[f"h.{i}.mlp.c_fc.{kind}"]
            ours[f"{layer}/feed_forward/down/{linear}"] = table[f"h.{i}.mlp.c_proj.{kind}"]
            ours[f"{layer}/feed_forward_norm/{norm}"] = table[f"h.{i}.ln_2.{kind}"]
        if family == "gpt2":
            ours[f"final_norm/{norm}"] = table[f"ln_f.{kind}"]
    return ours


def random_case(rng: np.random.Generator) -> dict:
    """Options drawn at random, those that are off by default mostly off."""

    def maybe(share: float, **options) -> dict:
        return options if rng.random() < share else {}

    rows, columns = int(rng.integers(1, 4)), int(rng.integers(1, 8))
    mask = np.arange(columns) >= rng.integers(0, columns, (rows, 1))
    words = [rng.integers(0, VOCAB, rng.integers(1, 4)).tolist() for _ in range(3)]
    case = {
        "input_ids": rng.integers(0, VOCAB, (rows, columns)).tolist(),
        "max_new_tokens": int(rng.integers(1, POSITIONS - columns + 1)),
        **maybe(0.6, attention_mask=mask.astype(int).tolist()),
        **maybe(0.8, eos_token_id=rng.choice(VOCAB, rng.integers(1, 6), replace=False).tolist()),
        **maybe(0.7, pad_token_id=int(rng.integers(0, VOCAB))),
        **maybe(0.3, repetition_penalty=float(rng.choice([0.7, 1.2, 2.5]))),
        **maybe(0.3, no_repeat_ngram_size=int(rng.integers(1, 4))),
        **maybe(0.3, bad_words_ids=words),
        **maybe(0.2, min_new_tokens=int(rng.integers(0, 9))),
        **maybe(0.2, min_length=int(rng.integers(0, 15))),
    }
    if case.get("pad_token_id") is not None:  # a row of nothing but padding has no meaning
        case.setdefault("attention_mask", np.ones((rows, columns), int).tolist())
    case["min_new_tokens"] = min(case.get("min_new_tokens", 0), case["max_new_tokens"]) or None
    case["min_length"] = min(case.get("min_length", 0), columns + case["max_new_tokens"])
    if rng.random() < 0.7:
        beams = int(rng.integers(2, 6))
        case |= {
            "num_beams": beams,
            "length_penalty": float(rng.choice([-1.0, 0.0, 0.6, 1.0, 2.0])),
            "early_stopping": [False, True, "never"][rng.integers(3)],
            "num_return_sequences": int(rng.integers(1, beams + 1)),
        }
    return case


def table_case(options: dict) -> dict:
    return {"input_ids": PADDED if "attention_mask" in options else PROMPTS, **options}


def generated(model: torch.nn.Module, case: dict) -> dict[str, np.ndarray]:
    tensors = {name: torch.tensor(case[name]) for name in ("input_ids", "attention_mask") if name in case}
    # Of what is None, Transformers 4.57 takes the least length, and a lack of ends with a filler, amiss.
    options = {name: value for name, value in case.items() if name not in tensors and value is not None}
    with torch.no_grad():
        output = model.generate(**tensors, **options, return_dict_in_generate=True, output_scores=True)
    arrays = {"sequences": output.sequences.numpy().astype("int16")}
    if "num_beams" in case:
        arrays["sequences_scores"] = output.sequences_scores.numpy()
    return arrays


def distribution(model: torch.nn.Module, options: dict) -> np.ndarray:
    """Of the token after each prompt."""
    asked = {"do_sample": True, "max_new_tokens": 1, "return_dict_in_generate": True, "output_scores": True}
    with torch.no_grad():
        output = model.generate(torch.tensor(PADDED), attention_mask=torch.tensor(MASK), **asked, **options)
    return output.scores[0].softmax(-1).numpy()


def main(output: Path, count: int | None = None, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    models = {family: random_model(family, seed + i) for i, family in enumerate(FAMILIES)}
    arrays = {f"{family}/{path}": x for family, model in models.items() for path, x in weights(family, model).items()}
    cases = [table_case(options) for options in OPTIONS] if count is None else [random_case(rng) for _ in range(count)]
    for family, model in models.items():
        for i, case in enumerate(cases):
            arrays |= {f"{family}/{i}/{name}": x for name, x in generated(model, case).items()}
    for i, options in enumerate(DRAWS):
        arrays[f"draws/{i}"] = distribution(models["gpt2"], options)
    prompts = {"input_ids": PADDED, "attention_mask": MASK}
    draws = [{**prompts, **options} for options in DRAWS]
    facts = {"transformers": transformers.__version__, "sizes": SIZES, "cases": cases, "draws": draws}
    np.savez_compressed(output, facts=json.dumps(facts), **arrays)


if __name__ == "__main__":
    _, *given = sys.argv
    path = Path(given[0]) if given else Path(__file__).with_name("generation.npz")
    main(path, *map(int, given[1:]))
