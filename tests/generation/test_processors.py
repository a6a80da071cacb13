"""What the tokens so far forbid or penalize, against definitions on lists."""

import numpy as np
import pytest
from helpers import normal, numpy
from keras import ops

from keras_tx.generation.processors import REMOVED, occurring, process
from keras_tx.generation.state import DecodeState, Decoding

VOCAB, ROWS, WIDTH = 7, 5, 13


def state(tokens: np.ndarray, index: int, seen=()) -> DecodeState:
    """As after `index` columns; what stands in the others must make no difference."""
    return DecodeState(ops.convert_to_tensor(tokens, "int32"), None, ops.convert_to_tensor(index), None, seen, None)


def processed(logits, tokens, index, *, seen=(), controls=None, **choices) -> np.ndarray:
    controls = {name: ops.convert_to_tensor(value, "float32") for name, value in (controls or {}).items()}
    decoding = Decoding(length=WIDTH, **choices)
    return numpy(process(ops.convert_to_tensor(logits), state(tokens, index, seen), decoding, controls))


def completes(text: list[int], token: int, run: list[int]) -> bool:
    return [*text, token][-len(run) :] == run


@pytest.fixture
def tokens(rng) -> np.ndarray:
    return rng.integers(0, 3, (ROWS, WIDTH))


@pytest.mark.parametrize("size", [1, 2, 3, 5, WIDTH, WIDTH + 2])
@pytest.mark.parametrize("index", [1, 4, 12])
def test_no_ngram_twice(rng, tokens, size, index):
    logits = normal(rng, ROWS, VOCAB)
    want = logits.copy()
    for row, text in enumerate(tokens[:, :index].tolist()):
        runs = [text[i : i + size] for i in range(index - size + 1)]
        for token in range(VOCAB):
            if index + 1 >= size and [*text, token][-size:] in runs:
                want[row, token] = REMOVED
    np.testing.assert_array_equal(processed(logits, tokens, index, no_repeat_ngram_size=size), want)
    assert (want == REMOVED).any() == (index >= size and size < 5)


@pytest.mark.parametrize("index", [1, 2, 12])
def test_bad_words(rng, tokens, index):
    words = ((4,), (1, 2), (0, 1), (2, 0, 1), (1, 1, 1), (0, 2, 1, 5))
    tokens[0, :index], tokens[1, :index] = 0, 1
    logits = normal(rng, ROWS, VOCAB)
    want = logits.copy()
    for row, text in enumerate(tokens[:, :index].tolist()):
        for token in range(VOCAB):
            if any(completes(text, token, list(word)) for word in words):
                want[row, token] = REMOVED
    np.testing.assert_array_equal(processed(logits, tokens, index, bad_words_ids=words), want)
    assert (want[:2] == REMOVED).sum() > 2  # more than the word of one token


def test_ends_do_not_come_too_early(rng, tokens):
    logits = normal(rng, ROWS, VOCAB)
    for index, early in ((3, True), (4, False)):
        got = processed(logits, tokens, index, eos_token_ids=(2, 5), controls={"min_length": 4})
        want = logits.copy()
        want[:, [2, 5]] = np.where(early, REMOVED, want[:, [2, 5]])
        np.testing.assert_array_equal(got, want)


def test_repetition_penalty_comes_before_what_is_forbidden():
    logits = np.array([[1.0, -2.0, 3.0, -4.0]], "float32")
    seen = np.array([[True, True, False, True]])
    controls = {"repetition_penalty": 4.0}
    got = processed(logits, np.zeros((1, WIDTH)), 3, seen=seen, controls=controls, bad_words_ids=((3,),))
    np.testing.assert_array_equal(got, np.array([[0.25, -8.0, 3.0, REMOVED]], "float32"))


def test_what_is_off_is_not_computed():
    logits = object.__new__(type("Untouched", (), {"shape": (2, VOCAB)}))
    assert process(logits, None, Decoding(length=WIDTH), {}) is logits


def test_tokens_that_occur():
    ids = np.array([[1, 4, 1], [0, 6, 99]])  # 99 stands for padding outside the vocabulary
    where = np.array([[True, False, False], [True, True, True]])
    every = [[0, 1, 0, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0, 1]]
    np.testing.assert_array_equal(numpy(occurring(ids, VOCAB)), np.array(every, bool))
    every[0][4] = 0
    np.testing.assert_array_equal(numpy(occurring(ids, VOCAB, where=where)), np.array(every, bool))
