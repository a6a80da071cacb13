"""Generation past the model's positions."""

import numpy as np
import pytest
from helpers import randomize
from small_run import VOCAB_SIZE, small_model

from keras_tx.generation.rolling import last_window, stream_rolling, window_size

PROMPT = np.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])


@pytest.fixture(scope="module")
def model():
    return randomize(small_model(), np.random.default_rng(2))


def rolled(model, ids, count, **options) -> np.ndarray:
    return np.concatenate(list(stream_rolling(model, ids, max_new_tokens=count, **options)), axis=1)


def by_definition(model, ids: np.ndarray, count: int) -> np.ndarray:
    """Greedy: each token follows the tokens since the last half of the positions was read anew."""
    positions = model.config.max_positions
    ids, start = list(ids), len(ids) - positions // 2
    for _ in range(count):
        if len(ids) - start == positions:
            start = len(ids) - positions // 2
        seen = np.array([ids[max(start, 0) :]])
        ids.append(int(np.argmax(model(seen)["logits"][0, -1])))
    return np.array(ids[-count:])


@pytest.mark.slow
@pytest.mark.parametrize("prompt", [2, 5])
def test_greedy_tokens_are_those_of_the_definition(model, prompt):
    want = np.stack([by_definition(model, row[:prompt], 11) for row in PROMPT])
    assert len(np.unique(want)) > 3
    np.testing.assert_array_equal(rolled(model, PROMPT[:, :prompt], 11), want)


@pytest.mark.parametrize("count", [1, 4, 5, 13])
@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_the_first_tokens_are_those_of_a_longer_text(model, count, chunk):
    whole = rolled(model, PROMPT, 13, do_sample=True, seed=5)
    pieces = list(stream_rolling(model, PROMPT, max_new_tokens=count, chunk=chunk, do_sample=True, seed=5))
    assert max(piece.shape[1] for piece in pieces) <= chunk
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), whole[:, :count])


def test_each_window_has_draws_of_its_own(model):
    a, b = (rolled(model, PROMPT, 40, do_sample=True, temperature=1e6, seed=seed) for seed in (1, 2))
    assert not np.array_equal(a, b)
    windows = a.reshape(2, 10, 4)
    assert len({window.tobytes() for window in windows.swapaxes(0, 1)}) == 10
    assert set(a.ravel()) == set(range(VOCAB_SIZE))


def test_padding_on_the_left_changes_nothing(model):
    padded = np.array([[0, 0, 0, 3, 1], [9, 2, 6, 5, 3]])
    mask = np.array([[0, 0, 0, 1, 1], [1, 1, 1, 1, 1]])
    both = rolled(model, padded, 15, attention_mask=mask)
    np.testing.assert_array_equal(both[:1], rolled(model, PROMPT[:1, :2], 15))
    np.testing.assert_array_equal(both[1:], rolled(model, PROMPT[1:], 15))


def test_windows():
    ids, mask = last_window(np.array([[1, 2, 3]]), np.array([[0, 1, 1]]), 5)
    assert (ids.tolist(), mask.tolist()) == ([[0, 0, 1, 2, 3]], [[0, 0, 0, 1, 1]])
    ids, mask = last_window(np.array([[1, 2, 3]]), np.array([[0, 1, 1]]), 2)
    assert (ids.tolist(), mask.tolist()) == ([[2, 3]], [[1, 1]])
    assert [window_size(positions) for positions in (2, 3, 8)] == [1, 1, 4]
    for positions in (None, 1):
        with pytest.raises(ValueError, match=f"`max_positions` of at least 2; the model has {positions}"):
            window_size(positions)


def test_nothing_new_is_nothing(model):
    assert list(stream_rolling(model, PROMPT, max_new_tokens=0)) == []
