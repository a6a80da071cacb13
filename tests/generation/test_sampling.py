"""The next token: which may be drawn and how often, against NumPy."""

import numpy as np
import pytest
from generation_helpers import chi_square
from helpers import numpy, softmax
from keras import ops

from keras_tx.generation.sampling import gumbel, next_token, step_seed, warp

LOGITS = np.array([2.0, -1.0, 0.5, 1.7, -3.0, 1.1, 0.0], "float32")
DRAWS = 40009


def scalars(controls: dict) -> dict:
    return {name: ops.convert_to_tensor(value, "float32") for name, value in controls.items()}


def distribution(temperature=1.0, top_k=None, top_p=1.0, min_p=0.0, keep=1) -> np.ndarray:
    """The controls in Transformers' order, each by its definition on sorted probabilities."""
    logits = LOGITS.astype("float64") / temperature
    likeliest_first = np.argsort(-logits)
    if top_k:
        logits[likeliest_first[max(top_k, keep) :]] = -np.inf
    reached = 0.0
    probabilities = softmax(logits)
    for rank, token in enumerate(likeliest_first):
        if reached >= top_p and rank >= keep:
            logits[token] = -np.inf
        reached += probabilities[token]
    probabilities = softmax(logits)
    unlikely = probabilities < min_p * probabilities.max()
    unlikely[likeliest_first[:keep]] = False
    return softmax(np.where(unlikely, -np.inf, logits))


def draw(*, seed: int = 3, step: int = 5, stream: int = 0, rows: int = DRAWS, top_k: int | None = None, **controls):
    tokens = next_token(
        np.tile(LOGITS, (rows, 1)),
        scalars(controls),
        do_sample=True,
        top_k=top_k,
        seed=step_seed(np.uint32(seed), np.int32(step), stream),
    )
    assert tokens.shape == (rows,) and numpy(tokens).dtype == np.int32
    return numpy(tokens)


CONTROLS = [
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
    {"top_k": 4, "top_p": 0.8},
    {"top_k": 5, "top_p": 0.95, "min_p": 0.3, "temperature": 1.5},
]


@pytest.mark.parametrize("controls", CONTROLS, ids=str)
def test_draws_follow_the_distribution(controls):
    expected = distribution(**controls)
    counts = np.bincount(draw(**controls), minlength=len(LOGITS))
    np.testing.assert_array_equal(counts > 0, expected > 0)
    assert chi_square(counts, expected)


@pytest.mark.parametrize("keep", [1, 3])
@pytest.mark.parametrize("controls", CONTROLS, ids=str)
def test_so_many_of_the_likeliest_stay(controls, keep):
    rest = dict(controls)
    warped = numpy(warp(ops.convert_to_tensor(LOGITS[None]), scalars(rest), rest.pop("top_k", None), keep=keep))[0]
    np.testing.assert_allclose(softmax(warped), distribution(**controls, keep=keep), atol=1e-6)


def test_draws_depend_on_seed_step_and_stream_alone():
    first = draw(rows=101)
    np.testing.assert_array_equal(draw(rows=101), first)
    for other in (draw(rows=101, seed=4), draw(rows=101, step=6), draw(rows=101, stream=1)):
        assert not np.array_equal(other, first)


def test_noise_draws_without_replacement():
    """The first two of a draw, in order."""
    log_probs = np.log(softmax(LOGITS))
    tiled = np.tile(log_probs, (DRAWS, 1))
    noise = numpy(gumbel(tiled, step_seed(np.uint32(7), np.int32(2))))
    first, second = np.argsort(-(tiled + noise), axis=1)[:, :2].T
    p = np.exp(log_probs.astype("float64"))
    expected = p[:, None] * p / (1 - p[:, None]) * (1 - np.eye(len(p)))
    counts = np.bincount(first * len(p) + second, minlength=len(p) ** 2)
    assert chi_square(counts, expected.ravel())


def test_greedy_takes_the_first_of_the_likeliest():
    logits = np.array([[1.0, 3.0, 3.0], [2.0, 1.0, 0.0]], "float32")
    np.testing.assert_array_equal(next_token(logits, {}, do_sample=False), [1, 0])


def test_a_draw_needs_a_seed():
    with pytest.raises(ValueError, match="`seed` must be given"):
        next_token(LOGITS[None], {}, do_sample=True)
