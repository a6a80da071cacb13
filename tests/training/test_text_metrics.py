"""Metrics of texts equal their engines on the whole corpus; the callback puts them into the logs."""

import csv

import keras
import numpy as np
import pytest
from generation_helpers import eagerly
from helpers import normal, softmax
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu import corpus_bleu, corpus_chrf

from keras_tx import BLEU, ROUGE, ChrF, ExactMatch, Perplexity, ScoreGenerated, Transformer
from keras_tx.text import CharTokenizer
from keras_tx.training import TranslationPairs, generate_texts

pytestmark = pytest.mark.any_backend

TEXTS = ["the cat sat on the mat", "a dog", "it is März, I think so", "there were five of them in all", "yes"]
FIRST = ["the cat sat on a mat", "the dog ran home", "it is March, I think so", "there were five of them at all", "yes"]
SECOND = ["a cat sat on the mat", "dogs", "I think it is März", "five of them were there in all", "no"]


def over_batches(metric, references):
    for part in (slice(0, 2), slice(2, 3), slice(3, 5)):
        metric.update_state(references[part], TEXTS[part])
    return metric.result()


@pytest.mark.parametrize("several", [False, True])
def test_bleu_and_chrf_are_of_the_whole_corpus(several):
    streams = [FIRST, SECOND] if several else [FIRST]
    references = list(map(list, zip(*streams, strict=True))) if several else FIRST
    bleu = over_batches(BLEU(), references)
    assert bleu == pytest.approx(corpus_bleu(TEXTS, streams).score, abs=1e-9)
    assert (
        abs(bleu - np.mean([over_one.score for over_one in map(lambda t, f: corpus_bleu([t], [[f]]), TEXTS, FIRST)]))
        > 1
    )
    assert over_batches(ChrF(), references) == pytest.approx(corpus_chrf(TEXTS, streams).score, abs=1e-9)
    expected = corpus_chrf(TEXTS, streams, word_order=2).score
    assert over_batches(ChrF(2), references) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("kind", ["rouge1", "rouge2", "rougeL"])
def test_rouge(kind):
    scorer = RougeScorer([kind])
    each = [scorer.score(target, text)[kind].fmeasure for target, text in zip(FIRST, TEXTS, strict=True)]
    assert over_batches(ROUGE(kind), FIRST) == pytest.approx(np.mean(each), abs=1e-12)


def test_exact_match():
    assert over_batches(ExactMatch(), FIRST) == pytest.approx(0.2)
    assert over_batches(ExactMatch(), [[a, b] for a, b in zip(FIRST, TEXTS, strict=True)]) == 1
    assert np.isnan(ExactMatch().result())


def test_perplexity(rng):
    metric, nats = Perplexity(), []
    for rows in (2, 5):
        logits, labels = normal(rng, rows, 3, 7), rng.integers(0, 7, (rows, 3))
        labels[0, 1] = -100
        metric.update_state(labels, logits)
        counted = labels != -100
        odds = softmax(logits.astype("float64"))[counted]
        nats.append(-np.log(odds[np.arange(len(odds)), labels[counted]]))
    assert float(metric.result()) == pytest.approx(np.exp(np.concatenate(nats).mean()), rel=1e-5)


@pytest.mark.parametrize("metric", [BLEU("char", lowercase=True), ChrF(2), ROUGE("rouge2"), ExactMatch(), Perplexity()])
def test_saved_by_config(metric):
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert type(again) is type(metric) and again.get_config() == metric.get_config()


def test_bad_input():
    with pytest.raises(ValueError, match=r"got shapes \(1,\) and \(2,\)"):
        BLEU().update_state(["a"], ["a", "b"])
    with pytest.raises(ValueError, match="`y_pred` must be strings"):
        ExactMatch().update_state(["a"], [3])
    with pytest.raises(ValueError, match="`kind` must be"):
        ROUGE("rouge0")
    with pytest.raises(ValueError, match="`tokenize` must name"):
        BLEU("words")


# === Generated while training ===

LETTERS = CharTokenizer("abcdefg")


def test_callback(tmp_path):
    """Scores reach a logger that comes after it, and are those of what `generate_texts` gives."""
    model = Transformer(vocab_size=LETTERS.vocab_size, d_model=6, num_heads=1, num_layers=1, dim_feedforward=5)
    model.compile("sgd")
    pairs, lines = TranslationPairs(["abc", "de", "fgabc"], ["cba", "ed", "cbagf"]), []
    options = {"max_new_tokens": 2, "batch_size": 3}
    score = ScoreGenerated(pairs, LETTERS, [ChrF(), ExactMatch()], examples=2, write=lines.append, **options)
    inputs = {"input_ids": np.array([[1, 2, 3]]), "labels": np.array([[3, 2, 1]])}
    with eagerly():
        model.fit(inputs, epochs=2, verbose=0, callbacks=[score, keras.callbacks.CSVLogger(tmp_path / "log")])
        texts = generate_texts(model, LETTERS, pairs.sources, **options)
    chrf = ChrF()
    chrf.update_state(pairs.targets, texts)
    rows = [*csv.DictReader((tmp_path / "log").open())]
    assert len(rows) == 2 and float(rows[-1]["val_chrf"]) == pytest.approx(chrf.result())
    assert len(lines) == 4 and lines[-1] == f"epoch 2: 'de' -> {texts[1]!r}; reference 'ed'"


def test_long_sources_are_cut():
    """Otherwise they would not fit into the batch that is generated from; the order is that of the sources."""

    class Echo:
        def generate(self, input_ids, attention_mask):
            assert input_ids.shape == (2, 4) and attention_mask.shape == (2, 4)
            return np.pad(input_ids, ((0, 0), (1, 0)), constant_values=6)  # begun by some token

    texts = generate_texts(Echo(), LETTERS, ["abcdefg", "b", "cdefg"], max_source_length=3, batch_size=2, multiple=4)
    assert [text.rstrip("a") for text in texts] == ["abc", "b", "cde"]


def test_tokens_that_a_model_has_and_its_tokenizer_has_not_do_not_show():
    class Untrained:
        def generate(self, input_ids, attention_mask):
            return np.array([[0, 2, 9, 1, 7]])

    assert generate_texts(Untrained(), LETTERS, ["a"], batch_size=1) == ["cb"]


def test_what_cannot_be_generated():
    with pytest.raises(ValueError, match="source 1 has no tokens"):
        generate_texts(None, LETTERS, ["a", ""])
    with pytest.raises(ValueError, match="one text is made of each source"):
        generate_texts(None, LETTERS, ["a"], num_return_sequences=2)
    with pytest.raises(ValueError, match="`metrics` must be one or more"):
        ScoreGenerated(TranslationPairs(["a"], ["b"]), LETTERS, [BLEU(), BLEU()])
