"""Rows, windows, words and spans, by hand and by brute force."""

import itertools

import numpy as np
import pytest

from keras_tx.tasks import align_labels, best_spans, windows
from keras_tx.tasks.rows import make_row, pad_rows, truncate_pair
from keras_tx.tasks.words import Words
from keras_tx.text import WordPieceTokenizer


def test_rows_stand_between_special_tokens(tokenizer):
    row = make_row(tokenizer, [11, 12], [13, 14, 15])
    assert row.ids == [1, 11, 12, 2, 13, 14, 15, 2]
    assert row.types == [0, 0, 0, 0, 1, 1, 1, 1]
    assert row.begin == 4
    assert make_row(tokenizer, [11]) == ([1, 11, 2], [0, 0, 0], 1)


def test_rows_are_filled_up_on_the_right(tokenizer):
    arrays = pad_rows([make_row(tokenizer, [11], [13]), make_row(tokenizer, [12])], 7, 6)
    assert arrays["input_ids"].tolist() == [[1, 11, 2, 13, 2, 7], [1, 12, 2, 7, 7, 7]]
    assert arrays["attention_mask"].tolist() == [[1, 1, 1, 1, 1, 0], [1, 1, 1, 0, 0, 0]]
    assert arrays["token_type_ids"].tolist() == [[0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 0]]
    assert {array.dtype.name for array in arrays.values()} == {"int32"}


@pytest.mark.parametrize(
    ("lengths", "room", "kept"),
    [((3, 2), 5, (3, 2)), ((3, 9), 7, (3, 4)), ((9, 2), 7, (5, 2)), ((9, 8), 7, (4, 3)), ((9, 0), 5, (5, 0))],
)
def test_the_longer_text_of_a_pair_is_cut_first(lengths, room, kept):
    first, second = truncate_pair(*(list(range(length)) for length in lengths), room)
    assert (first, second) == (list(range(kept[0])), list(range(kept[1])))


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
def test_windows_overlap_by_the_stride(length, size, stride, expected):
    assert windows(length, size, stride) == expected


def test_a_stride_as_long_as_a_window_is_an_error():
    with pytest.raises(ValueError, match=r"`stride` must lie in \[0, 7\).*got 7.*raise `max_length`"):
        windows(20, 7, 7)


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
