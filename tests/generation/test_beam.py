"""Beam search against a search through all texts, and beam sampling against its distribution."""

import numpy as np
import pytest
from generation_helpers import chi_square, eagerly
from helpers import normal, numpy, softmax

from keras_tx import BigramModel
from keras_tx.generation import GenerateOutput

VOCAB = 5
END = 4


@pytest.fixture(scope="module")
def model() -> BigramModel:
    model = BigramModel(vocab_size=VOCAB)
    model.backbone.token_embedding.embeddings.assign(2 * normal(np.random.default_rng(3), VOCAB, VOCAB))
    return model


def all_texts(model: BigramModel, start: int, count: int) -> list[tuple[float, list[int]]]:
    """Log-probability and tokens of every text of at most `count` new tokens that ends, or is that long."""
    log_probs = np.log([softmax(row) for row in numpy(model.backbone.token_embedding.embeddings).astype("float64")])
    done, running = [], [(0.0, [start])]
    for _ in range(count):
        longer = [(p + log_probs[text[-1], t], [*text, t]) for p, text in running for t in range(VOCAB)]
        done += [(p, text) for p, text in longer if text[-1] == END]
        running = [(p, text) for p, text in longer if text[-1] != END]
    return done + running


@pytest.mark.parametrize("penalty", [0.0, 2.0])
def test_enough_beams_find_the_best_texts(model, penalty):
    """With as many beams as there are unfinished texts nothing is lost."""
    count, beams = 3, VOCAB**2
    options = {"early_stopping": "never", "length_penalty": penalty, "num_beams": beams, "num_return_sequences": 7}
    got = model.generate([[0], [2]], max_new_tokens=count, eos_token_id=END, **options, return_dict_in_generate=True)
    assert isinstance(got, GenerateOutput)
    sequences, scores = (numpy(x).reshape(2, 7, -1) for x in got[:2])
    for start, rows, found in zip((0, 2), sequences.tolist(), scores[:, :, 0], strict=True):
        score = {
            tuple(text + [END] * (count + 1 - len(text))): p / (len(text) - 1) ** penalty
            for p, text in all_texts(model, start, count)
        }
        np.testing.assert_allclose(found, sorted(score.values())[: -7 - 1 : -1], atol=1e-5)
        # Texts of the same pairs of tokens are equally likely: their order is free.
        np.testing.assert_allclose([score[tuple(row)] for row in rows], found, atol=1e-5)
        assert len({tuple(row) for row in rows}) == 7


def test_beams_see_past_a_likely_first_token():
    """After 0 comes 1 more often than 2, but after 1 anything may come, and after 2 always 3."""
    odds = np.full((VOCAB, VOCAB), 0.01)
    odds[0, 1], odds[0, 2], odds[1], odds[2, 3] = 0.6, 0.37, 0.2, 0.96
    model = BigramModel(vocab_size=VOCAB)
    model.backbone.token_embedding.embeddings.assign(np.log(odds))
    options = {"max_new_tokens": 2, "return_dict_in_generate": True}
    np.testing.assert_array_equal(numpy(model.generate([[0]], **options).sequences)[:, :2], [[0, 1]])
    with eagerly():
        output = model.generate([[0]], **options, num_beams=2)
    np.testing.assert_array_equal(output.sequences, [[0, 2, 3]])
    np.testing.assert_allclose(output.sequences_scores, [np.log(0.37 * 0.96) / 2], atol=1e-5)


def test_early_stopping_ends_sooner():
    """With True as many ends as beams are enough, though longer texts would score better."""
    table = 0.5 * normal(np.random.default_rng(3), VOCAB, VOCAB)
    table[:, END] += 0.5
    model = BigramModel(vocab_size=VOCAB)
    model.backbone.token_embedding.embeddings.assign(table)
    options = {"max_new_tokens": 9, "eos_token_id": END, "num_beams": 3}
    with eagerly():
        lengths = [model.generate([[0]], early_stopping=how, **options).shape[1] for how in (True, False)]
    assert lengths == [4, 10]


def test_beam_samples_are_draws_without_replacement(model):
    """Of one token: the two beams are the first two of a draw, the likelier first."""
    rows = 4001
    options = {"num_beams": 2, "num_return_sequences": 2, "do_sample": True, "temperature": 1.5, "seed": 3}
    drawn = numpy(model.generate(np.zeros((rows, 1), int), max_new_tokens=1, **options))[:, 1].reshape(rows, 2)
    scores = np.log(softmax(numpy(model.backbone.token_embedding.embeddings)[0].astype("float64"))) / 1.5
    p = softmax(scores)
    both = p[:, None] * p / (1 - p[:, None])
    expected = np.where(scores[:, None] > scores, both + both.T, 0.0)
    counts = np.bincount(drawn[:, 0] * VOCAB + drawn[:, 1], minlength=VOCAB**2)
    assert chi_square(counts, expected.ravel())


def test_compiled_once_whatever_the_penalty(model):
    model.__dict__.pop("_loops", None)
    options = {"max_new_tokens": 3, "num_beams": 3, "eos_token_id": END}
    for number, penalty in ((1, 0.5), (3, 2.0)):
        model.generate([[0], [1]], **options, length_penalty=penalty, num_return_sequences=number)
    assert [[compiled.traces for compiled in one] for one in model._loops.values()] == [[1]]


def test_errors(model):
    with pytest.raises(ValueError, match="beams cannot be streamed"):
        next(model.stream([[0]], num_beams=2))
    with pytest.raises(ValueError, match="compares 6 tokens a beam, more than the vocabulary of 5"):
        model.generate([[0]], num_beams=2, eos_token_id=[0, 1, 2, 3, 4])
