"""Tokens, scores and probabilities are Transformers': against arrays made by tests/golden/make_generation.py."""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from generation_helpers import Golden, chi_square, eagerly
from helpers import long_after, numpy

GOLDEN = Golden(Path(__file__).parents[1] / "golden" / "generation.npz")
COMPILED = [("gpt2", 0), ("gpt2", 1), ("gpt", 1)]
CASES = [("gpt2", i) for i in range(len(GOLDEN.cases))] + [("gpt", i) for i in (0, 1, 4, 9)]


@pytest.mark.parametrize(("family", "case"), long_after(10, CASES))
def test_tokens_and_scores(family, case):
    want = GOLDEN.want(family, case)
    with nullcontext() if (family, case) in COMPILED else eagerly():
        got = GOLDEN.got(family, case)
    np.testing.assert_array_equal(got.sequences, want.sequences)
    if "num_beams" in GOLDEN.cases[case]:
        np.testing.assert_allclose(got.sequences_scores, want.sequences_scores, atol=1e-4, rtol=1e-5)
    else:
        assert got.sequences_scores is None


def test_the_cases_show_what_they_are_for():
    """Rows of many lengths end, and each choice of options makes a difference."""
    outputs = [GOLDEN.want("gpt2", i) for i in range(len(GOLDEN.cases))]
    seen = {(rows.tobytes(), None if scores is None else scores.tobytes()) for rows, scores, _ in outputs}
    assert len(seen) == len(outputs)
    ends = GOLDEN.cases[0]["eos_token_id"]
    lengths = [np.isin(rows[:, 5:], ends).argmax(axis=1) for rows, *_ in outputs]
    assert len(set(np.concatenate(lengths))) > 7


@pytest.mark.parametrize("draw", range(len(GOLDEN.draws)))
def test_draws(draw):
    count, odds = 3001, GOLDEN.odds[draw]
    options = {"do_sample": True, "max_new_tokens": 1, "num_return_sequences": count, "seed": 5}
    drawn = numpy(GOLDEN.models["gpt2"].generate(**GOLDEN.draws[draw], **options))[:, -1]
    for row, expected in zip(drawn.reshape(-1, count), odds, strict=True):
        counts = np.bincount(row, minlength=len(expected))
        assert chi_square(counts, expected)
        assert not chi_square(counts, np.roll(expected, 1))
