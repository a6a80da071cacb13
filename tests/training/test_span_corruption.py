"""T5's pre-training data: spans left out and texts parted, by their definitions and by their statistics."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tx.models import T5Model
from keras_tx.text import SentencePieceTokenizer
from keras_tx.training.data.span_corruption import PrefixLM, SpanCorruption, denoising_batches

pytestmark = pytest.mark.any_backend

SENTINELS = tuple(range(999, 899, -1))
SPANS = SpanCorruption(SENTINELS, eos_token_id=1)


def corrupted(objective, tokens: int, rows: int = 211, seed=(3, 5)):
    ids = np.arange(rows * tokens, dtype="int32").reshape(rows, tokens) + 1000  # each token tells where it stood
    return ids, *(x.numpy() for x in objective(tf.constant(ids), tf.constant(seed)))


def restored(source, target) -> list[int]:
    """A text put together from a source and a target."""
    assert source[-1] == target[-1] == 1
    spans, text = {}, []
    for i in target[:-1]:
        if i in SENTINELS:
            spans[i] = []
            last = spans[i]
        else:
            last.append(i)
    assert list(spans) == list(SENTINELS[: len(spans)])  # in order
    for i in source[:-1]:
        text += spans.pop(i) if i in SENTINELS else [i]
    assert not spans
    return text


@pytest.mark.parametrize("tokens", [2, 3, 7, 23, 101])
def test_source_and_target_make_the_text(tokens):
    ids, sources, targets = corrupted(SPANS, tokens)
    noise, spans = SPANS.counts(tokens)
    assert sources.shape[1] == tokens - noise + spans + 1 and targets.shape[1] == noise + spans + 1
    assert (sources.shape[1], targets.shape[1]) == SPANS.lengths(tokens)
    for text, source, target in zip(ids, sources, targets, strict=True):
        assert restored(source.tolist(), target.tolist()) == text.tolist()
        assert source[0] == text[0] and source[-2] == SENTINELS[spans - 1]  # begins with what stays, ends with a span
        assert target[0] == SENTINELS[0] and target[-2] == text[-1]


def test_lengths_are_the_papers():
    """Those of the published pre-training: 568 tokens make a source of 512 and a target of 114."""
    assert SPANS.tokens_for(512) == 568 and SPANS.lengths(568) == (512, 114)
    assert SPANS.lengths(569)[0] > 512
    half = SpanCorruption(SENTINELS, 1, density=0.5, mean_length=2.0)
    assert half.counts(31) == (16, 8) and half.lengths(31) == (24, 25)  # halves round to even, as in Python
    assert SpanCorruption(SENTINELS, 1, density=0.5, mean_length=1.0).counts(30) == (15, 15)


def test_divisions_are_uniform():
    """23 tokens with 7 left out in 3 spans: each of the C(6, 2) * C(15, 2) ways as often as another."""
    objective = SpanCorruption(SENTINELS, 1, density=0.3, mean_length=2.4)
    assert objective.counts(23) == (7, 3)
    noise = objective.noise(4001, 23, tf.constant([1, 2])).numpy()
    assert (noise.sum(1) == 7).all() and not noise[:, 0].any() and noise[:, -1].all()
    starts = noise.argmax(1)
    size = np.array([row[start:].argmin() for row, start in zip(noise, starts, strict=True)])
    for found, items in ((size, 7), (starts, 16)):
        for length in (1, 2, 3):  # of the first of 3 parts of so many items: the other two have the rest
            probability = (items - length - 1) / ((items - 1) * (items - 2) / 2)
            error = 5 * (probability * (1 - probability) / len(noise)) ** 0.5
            assert abs((found == length).mean() - probability) < error


def test_seeds():
    first, again, other = (corrupted(SPANS, 31, seed=seed)[1] for seed in ((1, 2), (1, 2), (1, 3)))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_prefixes():
    objective = PrefixLM(eos_token_id=1, pad_token_id=0)
    ids, sources, targets = corrupted(objective, 13, rows=1009)
    sizes = (sources >= 1000).sum(1)
    assert set(sizes) == set(range(1, 13))
    assert abs(sizes.mean() - 6.5) < 5 * (143 / 12 / 1009) ** 0.5
    for text, source, target, size in zip(ids.tolist(), sources.tolist(), targets.tolist(), sizes, strict=True):
        assert source == [*text[:size], 1, *[0] * (12 - size)]
        assert target == [*text[size:], 1, *[-100] * (size - 1)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpanCorruption(SENTINELS, 1, density=1.0), "`density` must lie in"),
        (lambda: SpanCorruption(SENTINELS, 1, mean_length=0.5), "`mean_length` must be 1 or above"),
        (lambda: SPANS.tokens_for(2), "`max_length` must be 3 or above"),
        (lambda: PrefixLM(1, 0).tokens_for(1), "`max_length` must be 2 or above"),
        (lambda: SPANS.lengths(1), "a text must have two tokens"),
        (lambda: SpanCorruption((9, 8), 1).tokens_for(512), "3 spans, and there are 2 sentinels"),
        (lambda: denoising_batches(np.arange(9), SPANS, 23, 3, seed=1), "9 tokens are fewer than a stretch of 25"),
    ],
)
def test_what_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# === Batches ===


def tokenizer() -> SentencePieceTokenizer:
    return SentencePieceTokenizer.train(["a b c d e f g the cat"] * 7, 43, extra_ids=11)


def test_objectives_of_a_tokenizer():
    found = tokenizer()
    corruption = SpanCorruption.of(found, density=0.25)
    assert corruption.sentinel_ids == tuple(found.sentinel_ids) and corruption.density == 0.25
    assert corruption.eos_token_id == 1 and PrefixLM.of(found) == PrefixLM(1, 0)
    bare = SentencePieceTokenizer({"<unk>": 0}, scores=[0.0])
    for objective, message in ((SpanCorruption, "has no `<extra_id_0>`"), (PrefixLM, "has no `eos_token`")):
        with pytest.raises(ValueError, match=message):
            objective.of(bare)


@pytest.mark.parametrize("objective", [SPANS, PrefixLM(1, 0)])
def test_batches_are_resumable_and_epochs_whole(objective):
    ids = np.arange(1000, 1331, dtype="int32")

    def taken(start, steps):
        data = denoising_batches(ids, objective, 23, 3, max_target_length=29, seed=5, start=start)
        return [{name: x.numpy() for name, x in batch.items()} for batch in data.take(steps)]

    whole = taken(0, 26)
    for start in (1, 11):
        for batch, resumed in zip(whole[start:], taken(start, 26 - start), strict=True):
            for name, x in batch.items():
                np.testing.assert_array_equal(x, resumed[name])
    stretches = len(ids) // objective.tokens_for(23)
    first = np.concatenate([batch["input_ids"][:, 0] for batch in whole])[: 2 * stretches].reshape(2, stretches)
    expected = 1000 + np.arange(stretches) * objective.tokens_for(23)
    for epoch in first:
        np.testing.assert_array_equal(np.sort(epoch), expected)
    assert (first[0] != first[1]).any()
    for batch in whole:
        assert batch["labels"].shape == (3, 29) and batch["input_ids"].shape == (3, 23)
        ends = (batch["input_ids"] == 1).argmax(1)
        np.testing.assert_array_equal(batch["attention_mask"], np.arange(23) <= ends[:, None])


@pytest.mark.parametrize("objective", [SPANS, PrefixLM(1, 0)])
def test_ends_of_documents_hide_nothing_of_a_source(objective):
    ids = np.where(np.arange(331) % 5 == 4, 1, np.arange(1000, 1331)).astype("int32")
    for batch in denoising_batches(ids, objective, 23, 3, seed=5).take(9):
        assert (batch["attention_mask"].numpy() == (batch["input_ids"].numpy() != 0)).all()


@pytest.mark.slow
def test_t5_learns_from_them():
    """A text of two words that alternate, which are read off their neighbours."""
    ids = np.tile(np.array([5, 9], "int32"), 501)
    objective = SpanCorruption(tuple(range(22, 11, -1)), 1, mean_length=2.0)
    model = T5Model(vocab_size=23, d_model=16, num_heads=2, d_kv=8, d_ff=31, num_layers=1, dropout=0.0)
    model.compile(keras.optimizers.Adam(0.01))
    data = denoising_batches(ids, objective, 17, 13, seed=1)
    losses = model.fit(data, steps_per_epoch=30, epochs=2, shuffle=False, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * np.log(23)
