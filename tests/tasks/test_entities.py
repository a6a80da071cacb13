"""Entities and their scores, by hand; `seqeval` in its default mode gives the same."""

import pytest

from keras_tx.tasks import entity_scores, entity_spans


@pytest.mark.parametrize(
    ("labels", "spans"),
    [
        ("", []),
        ("O O", []),
        ("B-PER I-PER O B-LOC", [("PER", 0, 2), ("LOC", 3, 4)]),
        ("B-PER B-PER I-PER", [("PER", 0, 1), ("PER", 1, 3)]),
        ("I-PER I-PER O I-LOC", [("PER", 0, 2), ("LOC", 3, 4)]),  # IOB1
        ("B-PER I-LOC I-LOC", [("PER", 0, 1), ("LOC", 1, 3)]),
        ("B-PER O I-PER", [("PER", 0, 1), ("PER", 2, 3)]),
        ("B-NEW-YORK I-NEW-YORK", [("NEW-YORK", 0, 2)]),
        ("NOUN NOUN O VERB", [("NOUN", 0, 1), ("NOUN", 1, 2), ("VERB", 3, 4)]),
        ("B-PER NOUN I-PER", [("PER", 0, 1), ("NOUN", 1, 2), ("PER", 2, 3)]),
    ],
)
def test_spans(labels, spans):
    assert entity_spans(labels.split()) == spans


def test_an_entity_counts_where_label_and_both_ends_are_right():
    wanted = [["B-PER", "I-PER", "O", "B-LOC"], ["B-LOC", "O"], ["B-ORG", "I-ORG", "I-ORG"]]
    found = [["B-PER", "I-PER", "O", "B-PER"], ["B-LOC", "B-LOC"], ["B-ORG", "I-ORG", "O"]]
    scores = entity_scores(wanted, found)
    assert scores == pytest.approx({"precision": 2 / 5, "recall": 2 / 4, "f1": 4 / 9})


def test_the_same_span_of_another_sentence_does_not_count():
    assert entity_scores([["B-PER"], ["O"]], [["O"], ["B-PER"]])["f1"] == 0


def test_nothing_to_count_is_zero():
    assert entity_scores([["O"]], [["O"]]) == {"precision": 0.0, "recall": 0.0, "f1": 0.0}


def test_sentences_of_other_lengths_are_errors():
    with pytest.raises(ValueError, match="labels of the same words"):
        entity_scores([["O", "O"]], [["O"]])
