"""Rows, windows, words and spans, by hand and by brute force."""

import itertools

import numpy as np
import pytest

from keras_tx.tasks import align_labels, best_spans
from keras_tx.tasks.rows import windows
from keras_tx.tasks.words import Words
from keras_tx.text import WordPieceTokenizer


def test_the_second_text_becomes_rows_whose_tokens_keep_their_numbers(tokenizer):
    pairs = [([11, 12], [-1, -1]), ([13], [-1])], [([21, 22, 23, 24, 25], range(5)), ([26], [7])]
    found = windows(tokenizer, *pairs, max_length=8, stride=1)
    assert found.batch["input_ids"].tolist() == [
        [1, 11, 12, 2, 21, 22, 23, 2],
        [1, 11, 12, 2, 23, 24, 25, 2],
        [1, 13, 2, 26, 2, 0, 0, 0],
    ]
    assert found.batch["token_type_ids"].tolist() == [[0] * 4 + [1] * 4] * 2 + [[0, 0, 0, 1, 1, 0, 0, 0]]
    assert found.batch["attention_mask"].tolist() == [[1] * 8] * 2 + [[1] * 5 + [0] * 3]
    assert found.numbers.tolist() == [
        [-1, -1, -1, -1, 0, 1, 2, -1],
        [-1, -1, -1, -1, 2, 3, 4, -1],
        [-1, -1, -1, 7, -1, -1, -1, -1],
    ]
    assert found.samples.tolist() == [0, 0, 1]
    assert {array.dtype.name for array in (*found.batch.values(), found.numbers, found.samples)} == {"int32"}


@pytest.mark.parametrize(
    ("length", "size", "stride", "expected"),
    [
        (5, 7, 3, [(0, 5)]),
        (7, 7, 3, [(0, 7)]),
        (8, 7, 3, [(0, 7), (4, 8)]),
        (11, 7, 3, [(0, 7), (4, 11)]),
        (12, 7, 3, [(0, 7), (4, 11), (8, 12)]),
        (6, 3, 0, [(0, 3), (3, 6)]),
        (2, 7, 3, [(0, 2)]),
    ],
)
def test_windows_overlap_by_the_stride(tokenizer, length, size, stride, expected):
    found = windows(tokenizer, [(range(11, 11 + length), range(length))], max_length=size + 2, stride=stride)
    places = [row[row >= 0].tolist() for row in found.numbers]
    assert places == [list(range(start, end)) for start, end in expected]
    assert found.samples.tolist() == [0] * len(expected)


def test_no_texts_have_no_rows(tokenizer):
    found = windows(tokenizer, [], max_length=7, stride=3)
    assert found.numbers.shape == found.batch["input_ids"].shape == (0, 0) and found.samples.shape == (0,)


def test_strides_that_do_not_do(tokenizer):
    text = [(range(20), range(20))]
    with pytest.raises(ValueError, match="`stride` is 7, no less than what a row of 9 tokens has room for: lower it"):
        windows(tokenizer, text, max_length=9, stride=7)
    with pytest.raises(ValueError, match="`stride` must be 0 or above; got -1"):
        windows(tokenizer, text, max_length=9, stride=-1)


def test_the_first_token_of_a_word_has_its_label():
    assert align_labels([5, 6, 7], [None, 0, 0, 1, 2, 2, 2, None]) == [-100, 5, -100, 6, 7, -100, -100, -100]


def test_words_are_split_at_whitespace_and_punctuation():
    text = "Café's  (old) 中文—ok_1 naïve\n"
    words = Words.of(text)
    assert [text[a:b] for a, b in words.spans] == [
        "Café",
        "'",
        "s",
        "(",
        "old",
        ")",
        "中",
        "文",
        "—",
        "ok",
        "_",
        "1",
        "naïve",
    ]
    assert words.pieces[:4] == ["Café", "'", "s", "  ("]
    assert "".join(words.pieces) == text.rstrip()


def test_words_have_the_ids_that_the_whole_text_has():
    text = "Café's  (old) 中文—ok_1 naïve, cafe\u0301s \u200bnear\x00by. Caf \ufffd!\n"
    tokenizer = WordPieceTokenizer.train([text], 307, min_frequency=100)  # characters alone
    ids = [tokenizer.encode(piece, add_special_tokens=False) for piece in Words.of(text).pieces]
    joined = list(itertools.chain(*ids))
    assert joined == tokenizer.encode(text, add_special_tokens=False)
    assert len(joined) > len(ids) and tokenizer.vocab["[UNK]"] not in joined


def test_combining_marks_stay_in_their_word():
    assert len(Words.of("cafe\u0301s नमस्ते")) == 2


def test_given_words_are_joined_by_blanks():
    words = Words.of(["New York", "'s", "x"])
    assert words == Words("New York 's x", ((0, 8), (9, 11), (12, 13)))
    assert words.pieces == ["New York", " 's", " x"]


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_word_is_an_error(empty):
    with pytest.raises(ValueError, match=f"word 1 is {empty!r}, which is empty"):
        Words.of(["a", empty])


@pytest.mark.parametrize(("max_length", "count"), [(1, 3), (4, 5), (50, 100)])
def test_best_spans_are_the_best_of_all(rng, max_length, count):
    tokens = 11
    start, end = rng.normal(size=(2, tokens))
    starts, ends = rng.random((2, tokens)) < 0.7
    every = [
        (start[i] + end[j], i, j)
        for i, j in itertools.product(range(tokens), repeat=2)
        if starts[i] and ends[j] and 0 <= j - i < max_length
    ]
    expected = sorted(every, reverse=True)[:count]
    found = best_spans(start, end, starts, ends, max_length=max_length, count=count)
    assert [span[1:] for span in found] == [span[1:] for span in expected]
    np.testing.assert_allclose([span.score for span in found], [span[0] for span in expected])


def test_no_span_where_none_may_start():
    nothing, anything = np.zeros(3, bool), np.ones(3, bool)
    assert best_spans(np.ones(3), np.ones(3), nothing, anything, max_length=3, count=2) == []
