"""SQuAD's scores, by hand."""

import pytest

from keras_tx.tasks import answer_f1, exact_match, normalize_answer, squad_scores


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("The  Cat!", "cat"),
        ("a man, an apple and the theatre", "man apple and theatre"),
        ("U.S.A.", "usa"),
        ("the-end", "theend"),  # punctuation goes first, and joins
        ("Élan—vital", "élan—vital"),  # other punctuation than ASCII's stays
        ("the", ""),
    ],
)
def test_normalization(text, normalized):
    assert normalize_answer(text) == normalized


def test_exact_match():
    assert exact_match("the Eiffel Tower.", "Eiffel tower") == 1
    assert exact_match("Eiffel", "Eiffel tower") == 0


@pytest.mark.parametrize(
    ("prediction", "reference", "f1"),
    [
        ("in Paris, France", "Paris", 1 / 2),  # precision 1/3, recall 1
        ("red red blue", "red blue blue", 2 / 3),  # words count as often as they stand in both
        ("Rome", "Oslo", 0),
        ("", "", 1),
        ("the", "", 1),
        ("", "Oslo", 0),
    ],
)
def test_f1(prediction, reference, f1):
    assert answer_f1(prediction, reference) == pytest.approx(f1)


def test_the_best_of_the_right_answers_counts():
    references = [["Oslo", "in Oslo"], ["1970", "the year 1970", "70"], [], []]
    scores = squad_scores(references, ["In Oslo!", "year 1970 AD", "", "Rome"])
    assert scores == pytest.approx({"exact_match": 2 / 4, "f1": (1 + 4 / 5 + 1 + 0) / 4})


def test_as_many_answers_as_questions():
    with pytest.raises(ValueError, match="got 1 and 2"):
        squad_scores([["a"]], ["a", "b"])
