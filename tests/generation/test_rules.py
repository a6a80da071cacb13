"""The rules that a user may add: Transformers' tokens, scores and probabilities; their functions; texts that stop."""

import json
from pathlib import Path

import numpy as np
import pytest
from generation_helpers import Golden, eagerly
from helpers import numpy
from keras import ops

from keras_tx import BPETokenizer, T5Model
from keras_tx.generation import stopping
from keras_tx.generation.stopping import stop_strings

FOLDER = Path(__file__).parents[1] / "golden"
EXPECTED = dict(np.load(FOLDER / "generation_rules" / "expected.npz"))
FACTS = json.loads(str(EXPECTED["facts"]))
CASES, DRAWS, TARGETS = FACTS["cases"], FACTS["draws"], FACTS["targets"]


def processor(ids, scores):
    """The token after the last one is likelier."""
    return scores + 9.0 * ops.one_hot((ids[:, -1] + 1) % scores.shape[1], scores.shape[1])


def criterion(ids, scores):
    """The last token is 17, or 39 after 6."""
    after_6 = ops.logical_and(ids[:, -2] == 6, ids[:, -1] == 39)
    return ops.logical_or(ids[:, -1] == 17, after_6)


def allowed(batch, ids):
    """The token and its place in the batch are even or odd as the last one is not."""
    return (ops.arange(41)[None, :] + batch[:, None] + ids[:, -1:]) % 2 == 1


FUNCTIONS = {
    "logits_processor": [processor],
    "stopping_criteria": [criterion],
    "prefix_allowed_tokens_fn": allowed,
}


@pytest.fixture(scope="module")
def gpt():
    return Golden(FOLDER / "generation.npz").models["gpt2"]


@pytest.fixture(scope="module")
def tokenizer() -> BPETokenizer:
    return BPETokenizer.from_pretrained(FOLDER / "generation_rules")


def generated(model, case: dict, tokenizer=None):
    case = dict(case)
    functions = {name: FUNCTIONS[name] for name in case.pop("functions", ())}
    if "stop_strings" in case:
        case["tokenizer"] = tokenizer
    with eagerly():
        return model.generate(**case, **functions, return_dict_in_generate=True, output_scores=True)


QUICK = (4, 13)
"""The cases that are quick and show that the rules are in the loop; the others are among the long tests."""


@pytest.mark.parametrize(
    "case", [pytest.param(i, marks=() if i in QUICK else pytest.mark.slow) for i in range(len(CASES))]
)
def test_tokens_and_scores(gpt, tokenizer, case):
    found = generated(gpt, CASES[case], tokenizer)
    np.testing.assert_array_equal(found.sequences, EXPECTED[f"{case}/sequences"])
    if "num_beams" in CASES[case]:
        np.testing.assert_allclose(found.sequences_scores, EXPECTED[f"{case}/sequences_scores"], atol=1e-4)
    scores, expected = (np.stack([*map(numpy, x)]) for x in (found.scores, EXPECTED[f"{case}/scores"]))
    assert len(scores) == len(expected)
    if "num_beams" in CASES[case]:  # of beams that are all but equally unlikely the order is free
        scores, expected = scores[:1], expected[:1]
    np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_the_cases_show_what_they_are_for():
    """Each rule makes a difference, but where a forced token and a row that goes on hide it."""
    sequences = [EXPECTED[f"{i}/sequences"].tobytes() for i in range(len(CASES))]
    same = {(i, j) for i, x in enumerate(sequences) for j, y in enumerate(sequences[:i]) if x == y}
    assert same == {(5, 4), (16, 11)}


@pytest.mark.parametrize("draw", range(len(DRAWS)))
def test_probabilities_of_draws(gpt, draw):
    """The logits that a token is drawn from."""
    prompts = {name: CASES[0][name] for name in ("input_ids", "attention_mask")}
    found = generated(gpt, {**prompts, "do_sample": True, "max_new_tokens": 1, "seed": 1, **DRAWS[draw]})
    np.testing.assert_allclose(found.scores[0], EXPECTED[f"draws/{draw}"], atol=1e-4)


@pytest.mark.parametrize("target", [0, *(pytest.param(i, marks=pytest.mark.slow) for i in range(1, len(TARGETS)))])
def test_what_a_decoder_begins_with(target):
    model = T5Model.from_pretrained(FOLDER / "t5" / "first")
    given = np.load(FOLDER / "t5" / "first" / "expected.npz")
    sources = {name: given[f"given/{name}"] for name in ("input_ids", "attention_mask")}
    found = generated(model, {**sources, "max_length": 11, **TARGETS[target]})
    np.testing.assert_array_equal(found.sequences, EXPECTED[f"targets/{target}/sequences"])


# === Texts that stop ===


def test_stop_strings_by_their_definition(tokenizer, rng):
    """A row ends when its last token, and no earlier one, makes the text hold one of the strings."""
    texts = ("sto", "opp", "é", "s!", "xxx")
    criterion = stop_strings(texts, tokenizer)
    assert stop_strings(texts, tokenizer) is criterion  # or each call would compile anew
    rows = rng.choice([14, 15, 18, 19, 23, 26, 27, 29, 30, 31, 34, 36, 39], (400, 6)).astype("int32")
    rows[:20, :4] = -1
    pieces = stopping._pieces(tokenizer)
    for row, found in zip(rows, numpy(criterion(rows)), strict=True):
        text = b"".join(pieces[i] for i in row if i >= 0)
        last = len(pieces[row[-1]])
        met = [end for word in texts for end in ends_of(text, word.encode()) if end > len(text) - last]
        assert found == bool(met), (row, text)


def ends_of(text: bytes, word: bytes) -> list[int]:
    return [i + len(word) for i in range(len(text)) if text.startswith(word, i)]


def test_stop_strings_need_a_tokenizer(gpt, tokenizer):
    with pytest.raises(ValueError, match="give `tokenizer`, too"):
        gpt.generate([[1]], stop_strings="a")
    with pytest.raises(ValueError, match="texts that are not empty"):
        gpt.generate([[1]], stop_strings=["a", ""], tokenizer=tokenizer)
    with pytest.raises(ValueError, match="leave out `stop_strings`"):
        gpt.generate([[1]], stop_strings="a", tokenizer=tokenizer, assistant_model=gpt)
