"""Makes generation_rules/: what Transformers 5.23 generates under the rules that a user may add.

    PYTHONPATH=tests/golden python tests/golden/make_generation_rules.py [DIRECTORY]

The models are those of generation.npz and of t5/first; tests/generation/test_rules.py has these functions, on tensors.
Needs torch and transformers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from make_generation import ENDS, MASK, PADDED, random_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

PROMPTS = {"input_ids": PADDED, "attention_mask": MASK}
LONG = {**PROMPTS, "max_new_tokens": 15, **ENDS}
BEAMS = {**LONG, "num_beams": 3, "num_return_sequences": 2}
RULES = {"suppress_tokens": [12, 9], "begin_suppress_tokens": [4, 22], "renormalize_logits": True}
BIASED = {"sequence_bias": [[[12], 2.5], [[33, 11], -9.0], [[4, 9], 3.0], [[9], -1.0]]}
ONE = {"input_ids": [[7], [40]], "max_new_tokens": 9, **ENDS, "forced_bos_token_id": 17}
CASES = [
    {**LONG, **RULES},
    {**LONG, **BIASED, "repetition_penalty": 1.5},
    {**LONG, "eos_token_id": 3, "forced_eos_token_id": 3},
    {**LONG, "exponential_decay_length_penalty": [3, 1.3]},
    ONE,
    {**ONE, "begin_suppress_tokens": [17, 21, 5], "num_beams": 3},
    {**BEAMS, **RULES, **BIASED},
    {**BEAMS, "forced_eos_token_id": [3, 13], "exponential_decay_length_penalty": [5, 1.1]},
    {**LONG, "functions": ["logits_processor"]},
    {**BEAMS, "functions": ["logits_processor"], "renormalize_logits": True},
    {**LONG, "functions": ["stopping_criteria"]},
    {**LONG, "functions": ["stopping_criteria"], "eos_token_id": None},
    {**BEAMS, "functions": ["stopping_criteria"]},
    {**LONG, "functions": ["prefix_allowed_tokens_fn"], "bad_words_ids": [[2], [5, 7]]},
    {**BEAMS, "functions": ["prefix_allowed_tokens_fn", "stopping_criteria"], "suppress_tokens": [2, 3]},
    {**LONG, "stop_strings": ["gst", "opsto", "é"]},
    {**LONG, "stop_strings": "gg", "eos_token_id": None},
    {**BEAMS, "stop_strings": ["kst", "oop", "é"], "num_return_sequences": 3},
]
DRAWS = [
    {"typical_p": 0.6},
    {"typical_p": 0.3, "temperature": 1.8, "top_k": 12},
    {"epsilon_cutoff": 0.04},
    {"eta_cutoff": 0.06, "temperature": 1.5, "top_k": 0},
]
"""Ways to draw a token, of which the probabilities are kept."""
TARGETS = [
    {"decoder_input_ids": [[0, 17, 5], [0, 8, 30], [0, 3, 3]]},
    {"decoder_input_ids": [[17, 5], [8, 30], [3, 3]], "num_beams": 3},
    {"decoder_start_token_id": [3, 17, 0], "forced_bos_token_id": 23},
    {"forced_bos_token_id": 9, "forced_eos_token_id": 1, "suppress_tokens": [4, 5], "num_beams": 2},
]
"""What an encoder-decoder begins with."""


def tokenizer(directory: Path) -> transformers.PreTrainedTokenizerFast:
    """A byte-level tokenizer of 41 tokens, two of which are halves of "é"."""
    tokens = [*"abcdefghijklmnopqrstuvwxy", "Ġ", "Ã", "©", ".", "!", "st", "op", "stop", "Ġa", "pp", "xx", "opp"]
    tokens += ["Ġthe", "er", "sto", "<|endoftext|>"]
    merges = [("s", "t"), ("o", "p"), ("st", "op"), ("Ġ", "a"), ("p", "p"), ("x", "x"), ("op", "p"), ("e", "r")]
    model = models.BPE({token: i for i, token in enumerate(tokens)}, [*merges, ("st", "o")])
    made = Tokenizer(model)
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|endoftext|>")
    fast.save_pretrained(directory)
    return fast


# === The functions of test_rules.py, as Transformers takes them ===


def processor(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """The token after the last one is likelier."""
    following = torch.nn.functional.one_hot((ids[:, -1] + 1) % scores.shape[1], scores.shape[1])
    return scores + 9.0 * following


def criterion(ids: torch.Tensor, scores, **_) -> torch.Tensor:
    """The last token is 17, or 39 after 6."""
    return (ids[:, -1] == 17) | (ids[:, -2] == 6) & (ids[:, -1] == 39)


def allowed(batch: int, ids: torch.Tensor) -> list[int]:
    """The token and its place in the batch are even or odd as the last one is not."""
    return [token for token in range(41) if (token + batch + int(ids[-1])) % 2]


FUNCTIONS = {
    "logits_processor": [processor],
    "stopping_criteria": [criterion],
    "prefix_allowed_tokens_fn": allowed,
}


def generated(model: torch.nn.Module, case: dict, fast, **options) -> dict[str, np.ndarray]:
    case = dict(case)
    functions = {name: FUNCTIONS[name] for name in case.pop("functions", ())}
    tensors = {name: torch.tensor(case.pop(name)) for name in list(case) if name.endswith(("_ids", "_mask"))
               and name not in ("bad_words_ids",)}  # fmt: skip
    if "decoder_start_token_id" in case:
        tensors["decoder_start_token_id"] = torch.tensor(case.pop("decoder_start_token_id"))
    if "sequence_bias" in case:
        case["sequence_bias"] = {tuple(run): bias for run, bias in case["sequence_bias"]}
    if "stop_strings" in case:
        options["tokenizer"] = fast
    with torch.no_grad():
        output = model.generate(
            **tensors, **case, **functions, **options, return_dict_in_generate=True, output_scores=True
        )
    arrays = {"sequences": output.sequences.numpy().astype("int16"), "scores": np.stack(output.scores)}
    if case.get("num_beams", 1) > 1:
        arrays |= {"sequences_scores": output.sequences_scores.numpy()}
    return arrays


def main(directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    fast, model = tokenizer(directory), random_model("gpt2", 1)
    arrays = {}
    for i, case in enumerate(CASES):
        arrays |= {f"{i}/{name}": x for name, x in generated(model, case, fast).items()}
    for i, options in enumerate(DRAWS):
        once = {**PROMPTS, "do_sample": True, "max_new_tokens": 1, **options}
        arrays[f"draws/{i}"] = generated(model, once, fast)["scores"][0]
    t5 = transformers.T5ForConditionalGeneration.from_pretrained(Path(__file__).parent / "t5" / "first").eval()
    given = np.load(Path(__file__).parent / "t5" / "first" / "expected.npz")
    sources = {name: given[f"given/{name}"].tolist() for name in ("input_ids", "attention_mask")}
    for i, options in enumerate(TARGETS):
        found = generated(t5, {**sources, "max_length": 11, **options}, fast)
        arrays |= {f"targets/{i}/{name}": x for name, x in found.items()}
    facts = {"transformers": transformers.__version__, "cases": CASES, "draws": DRAWS, "targets": TARGETS}
    np.savez_compressed(directory / "expected.npz", facts=json.dumps(facts), **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("generation_rules"))
