"""Generation by encoder-decoders: Transformers' tokens, and what the loop does with a source."""

from __future__ import annotations

import json
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from generation_helpers import chi_square, eagerly
from helpers import long_after, numpy, randomize
from outputs import read_golden

from keras_tx.models import GPTModel, T5Model
from keras_tx.models.t5.config import TINY

GOLDEN = Path(__file__).parents[1] / "golden" / "t5"
EXPECTED = dict(np.load(GOLDEN / "generation.npz"))
OPTIONS = json.loads(str(EXPECTED["facts"]))["options"]
COMPILED = {("first", 1), ("second", 3)}


@cache
def golden(name: str) -> tuple[T5Model, dict[str, np.ndarray]]:
    """A model, and sources that are full, padded at the right, padded at the left."""
    given, _ = read_golden(GOLDEN / name)
    return T5Model.from_pretrained(GOLDEN / name), {key: given[key] for key in ("input_ids", "attention_mask")}


@pytest.fixture
def model(rng) -> T5Model:
    return randomize(T5Model(TINY), rng)


# === Transformers' tokens ===

CASES = [("first", i) for i in range(len(OPTIONS))] + [("second", i) for i in (1, 3)]


@pytest.mark.parametrize(("name", "case"), long_after(5, CASES))
def test_tokens_and_scores(name, case):
    model, sources = golden(name)
    with nullcontext() if (name, case) in COMPILED else eagerly():
        found = model.generate(**sources, **OPTIONS[case], return_dict_in_generate=True)
    np.testing.assert_array_equal(found.sequences, EXPECTED[f"{name}/{case}/sequences"])
    if "num_beams" in OPTIONS[case]:
        np.testing.assert_allclose(found.sequences_scores, EXPECTED[f"{name}/{case}/scores"], atol=1e-4)


def test_the_cases_show_what_they_are_for():
    """Sources differ in their targets, some of which end before others, and each choice of options counts."""
    for name in ("first", "second"):
        sequences = [EXPECTED[f"{name}/{i}/sequences"] for i in range(len(OPTIONS))]
        assert len({x.tobytes() for x in sequences}) == len(OPTIONS)
        assert len({row.tobytes() for row in sequences[1]}) == len(sequences[1])
        assert (sequences[1][:, -1] == 0).any()


# === The loop ===


def test_a_source_is_encoded_once(model, rng):
    """However many tokens and beams there are."""
    calls, encoded = [], model.backbone.encoded
    model.backbone.encoded = lambda *args, **kwargs: calls.append(1) or encoded(*args, **kwargs)
    with eagerly():
        model.generate(rng.integers(0, 61, (2, 7)), max_new_tokens=5, num_beams=3)
    assert len(calls) == 1


def test_padding_of_the_source_changes_nothing(model, rng):
    """Beams of a source alone, and with padding before it and after it."""
    ids, options = rng.integers(0, 61, 5), {"max_new_tokens": 6, "num_beams": 3}
    padded, mask = (
        np.stack([np.pad(x, (3, 0), constant_values=fill), np.pad(x, (0, 3), constant_values=fill)])
        for x, fill in ((ids, 9), (np.ones_like(ids), 0))
    )
    with eagerly():
        expected = numpy(model.generate(ids[None], **options))
        found = model.generate(padded, attention_mask=mask, **options)
    np.testing.assert_array_equal(found, np.repeat(expected, 2, axis=0))


def test_another_start_token(rng):
    model = randomize(T5Model(TINY, decoder_start_token_id=13), rng)
    with eagerly():
        found = numpy(model.generate(rng.integers(0, 61, (2, 5)), max_new_tokens=3))
    assert found.shape == (2, 4) and (found[:, 0] == 13).all()


def test_draws_have_the_distribution_of_the_logits(model, rng):
    ids, count = rng.integers(0, 61, (1, 5)), 3001
    logits = numpy(model(ids, np.zeros((1, 1), "int32"))["logits"])[0, -1] / 2.0
    odds = np.exp(logits - logits.max())
    options = {"do_sample": True, "temperature": 2.0, "top_k": 0, "seed": 5, "num_return_sequences": count}
    drawn = numpy(model.generate(ids, max_new_tokens=1, **options))[:, -1]
    counts = np.bincount(drawn, minlength=61)
    assert chi_square(counts, odds / odds.sum())
    assert not chi_square(counts, np.roll(odds, 1) / odds.sum())


def test_an_assistant_changes_no_token(model, rng):
    draft = randomize(T5Model(TINY, num_layers=1), rng)
    ids = rng.integers(0, 61, (2, 5))
    with eagerly():
        expected = numpy(model.generate(ids, max_new_tokens=6))
        found = model.generate(ids, max_new_tokens=6, assistant_model=draft, num_assistant_tokens=2)
    np.testing.assert_array_equal(found, expected)


def test_an_assistant_that_begins_otherwise(model, rng):
    gpt = GPTModel(vocab_size=61, max_positions=37, num_layers=1, num_heads=3, d_model=15)
    with pytest.raises(ValueError, match="`assistant_model`"):
        model.generate(rng.integers(0, 61, (2, 5)), max_new_tokens=7, assistant_model=gpt)


def test_contrastive_search_by_its_definition(model, rng):
    """Of the likeliest tokens the one with the best balance of probability and likeness to those before it."""
    ids, alpha, count = rng.integers(0, 61, (1, 5)), 0.6, 3
    target = [0]
    context = model.encode(ids)
    for _ in range(3):
        hidden = numpy(model.decode(np.array([target]), context))[0]
        logits = numpy(model.logits(hidden[-1]))
        odds = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        scores = {}
        for token in np.argsort(-odds)[:count]:
            new = numpy(model.decode(np.array([[*target, token]]), context))[0]
            new /= np.linalg.norm(new, axis=-1, keepdims=True)
            scores[int(token)] = (1 - alpha) * odds[token] - alpha * (new[:-1] @ new[-1]).max()
        target.append(max(scores, key=scores.get))
    with eagerly():
        found = model.generate(ids, max_new_tokens=3, penalty_alpha=alpha, top_k=count)
    np.testing.assert_array_equal(found, [target])
