"""The next token: which may be drawn and how often, against NumPy."""

import numpy as np
import pytest
from helpers import numpy, softmax
from keras import ops

from keras_tx.generation.sampling import next_token

LOGITS = np.array([2.0, -1.0, 0.5, 1.7, -3.0, 1.1, 0.0], "float32")
SEEN = np.array([True, True, False, True, False, False, False])
DRAWS = 40009


def distribution(temperature=1.0, top_k=None, top_p=1.0, min_p=0.0, repetition_penalty=1.0) -> np.ndarray:
    """The controls in Transformers' order, each by its definition on sorted probabilities."""
    logits = LOGITS.astype("float64")
    penalized = np.where(logits < 0, logits * repetition_penalty, logits / repetition_penalty)
    logits = np.where(SEEN, penalized, logits) / temperature
    likeliest_first = np.argsort(-logits)
    if top_k:
        logits[likeliest_first[top_k:]] = -np.inf
    reached = 0.0
    probabilities = softmax(logits)
    for token in likeliest_first:
        if reached >= top_p:
            logits[token] = -np.inf
        reached += probabilities[token]
    probabilities = softmax(logits)
    return softmax(np.where(probabilities < min_p * probabilities.max(), -np.inf, logits))


def draw(*, seed: int = 3, step: int = 5, rows: int = DRAWS, top_k: int | None = None, **controls) -> np.ndarray:
    tokens = next_token(
        np.tile(LOGITS, (rows, 1)),
        {name: ops.convert_to_tensor(value, "float32") for name, value in controls.items()},
        do_sample=True,
        top_k=top_k,
        key=np.array([seed, step], "uint32"),
        seen=np.tile(SEEN, (rows, 1)),
    )
    assert tokens.shape == (rows,) and numpy(tokens).dtype == np.int32
    return numpy(tokens)


@pytest.mark.parametrize(
    "controls",
    [
        {},
        {"temperature": 0.5},
        {"temperature": 3.0},
        {"top_k": 3},
        {"top_k": 1},
        {"top_k": 100},
        {"top_p": 0.6},
        {"top_p": 0.9},
        {"top_p": 0.01},
        {"min_p": 0.2},
        {"min_p": 1.0},
        {"repetition_penalty": 2.5},
        {"top_k": 4, "top_p": 0.8},
        {"top_k": 5, "top_p": 0.95, "min_p": 0.3, "temperature": 1.5, "repetition_penalty": 1.3},
    ],
    ids=str,
)
def test_draws_follow_the_distribution(controls):
    expected = distribution(**controls)
    counts = np.bincount(draw(**controls), minlength=len(LOGITS))
    np.testing.assert_array_equal(counts > 0, expected > 0)
    np.testing.assert_allclose(counts / DRAWS, expected, atol=0.012)


def test_draws_depend_on_seed_and_step_alone():
    first = draw(rows=101)
    np.testing.assert_array_equal(draw(rows=101), first)
    for other in (draw(rows=101, seed=4), draw(rows=101, step=6)):
        assert not np.array_equal(other, first)


def test_greedy_takes_the_first_of_the_likeliest():
    logits = np.array([[1.0, 3.0, 3.0], [2.0, 1.0, 0.0]], "float32")
    np.testing.assert_array_equal(next_token(logits, {}, do_sample=False), [1, 0])
    penalty = {"repetition_penalty": ops.convert_to_tensor(4.0)}
    seen = np.array([[False, True, True], [True, False, False]])
    np.testing.assert_array_equal(next_token(logits, penalty, do_sample=False, seen=seen), [0, 1])
    seen = np.array([[True, False], [False, True]])
    np.testing.assert_array_equal(next_token(-logits[:, :2], penalty, do_sample=False, seen=seen), [1, 0])
