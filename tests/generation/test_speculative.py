"""Speculative decoding: the checking model's tokens, or tokens distributed as its are, whatever drafts them."""

import numpy as np
import pytest
from generation_helpers import chi_square
from helpers import long_after, numpy, randomize, softmax
from keras import ops

from keras_tx import BigramModel, GPTModel
from keras_tx.generation.speculative import _accept_drawn
from keras_tx.generation.state import Decoding

VOCAB = 5
SIZES = {"vocab_size": VOCAB, "max_positions": 23, "num_heads": 3, "d_model": 15}
PROMPTS = [[3, 1, 4, 1], [2, 0, 2, 3]]
MASK = [[1, 1, 1, 1], [0, 1, 1, 1]]


def random_model(seed: int, **sizes) -> GPTModel:
    return randomize(GPTModel(**SIZES | {"num_layers": 1} | sizes), np.random.default_rng(seed))


@pytest.fixture(scope="module")
def model() -> GPTModel:
    return random_model(4, num_layers=2)


@pytest.fixture(scope="module")
def constant() -> BigramModel:
    """Always drafts the same token."""
    model = BigramModel(vocab_size=VOCAB)
    model.backbone.token_embedding.embeddings.assign(np.tile(9.0 * np.eye(VOCAB)[1], (VOCAB, 1)))
    return model


RULES = {"eos_token_id": [0], "repetition_penalty": 1.3, "no_repeat_ngram_size": 4}


@pytest.mark.parametrize("options", long_after(1, [RULES, {}]), ids=["under rules", "free"])
def test_greedy_tokens_are_the_models_own(model, constant, options):
    given = {"input_ids": PROMPTS, "attention_mask": MASK, "max_new_tokens": 18, **options}
    want = numpy(model.generate(**given))
    draft = random_model(8) if options else constant
    got = numpy(model.generate(**given, assistant_model=draft, num_assistant_tokens=3))
    np.testing.assert_array_equal(got, want)
    assert len(np.unique(want)) > 2


@pytest.mark.slow
def test_streams_in_equal_pieces(model):
    """With itself as the draft, which is accepted whole."""
    given = {"input_ids": PROMPTS, "attention_mask": MASK, "max_new_tokens": 13}
    want = numpy(model.generate(**given))[:, 4:]
    parts = list(model.stream(**given, assistant_model=model, num_assistant_tokens=5, chunk=4))
    assert [part.shape[1] for part in parts] == [1, 4, 4, 4]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), want)


def texts(model: GPTModel, controls: dict, length: int) -> np.ndarray:
    """The probability of each continuation of so many tokens, by the chain rule over whole passes."""
    joint = np.ones(1)
    prefixes = np.array([PROMPTS[0]])
    for _ in range(length):
        logits = numpy(model(prefixes)["logits"])[:, -1].astype("float64") / controls.get("temperature", 1.0)
        if "top_k" in controls:
            logits[logits < np.sort(logits, axis=1)[:, [-controls["top_k"]]]] = -np.inf
        joint = (joint[:, None] * softmax_rows(logits)).ravel()
        tokens = np.tile(np.arange(VOCAB), len(prefixes))[:, None]
        prefixes = np.concatenate([np.repeat(prefixes, VOCAB, axis=0), tokens], axis=1)
    return joint


def softmax_rows(x: np.ndarray) -> np.ndarray:
    return np.stack([softmax(row) for row in x])


@pytest.mark.slow
def test_texts_are_distributed_as_the_models(model):
    """All texts of three tokens, in batches of three rows; the draft's own distribution would not pass."""
    controls = {"top_k": 4, "temperature": 2.0}
    draft = random_model(8)
    options = {"max_new_tokens": 3, "do_sample": True, "num_return_sequences": 3, "num_assistant_tokens": 2, **controls}
    drawn = [
        numpy(model.generate(PROMPTS[:1], assistant_model=draft, seed=seed, **options))[:, 4:] for seed in range(500)
    ]
    numbers = np.concatenate(drawn) @ VOCAB ** np.arange(2, -1, -1)
    counts = np.bincount(numbers, minlength=VOCAB**3)
    assert chi_square(counts, texts(model, controls, 3))
    assert not chi_square(counts, texts(draft, controls, 3))


def test_accepted_or_replaced_tokens_are_distributed_as_the_checking_models(rng):
    """One round of many rows: each column that counts, and the one after the drafts."""
    rows, count = 40009, 2
    p_logits, q_logits = rng.normal(size=(2, count + 1, VOCAB)) * 1.5
    p, q = softmax_rows(p_logits), softmax_rows(q_logits)[:count]
    proposed = np.stack([rng.choice(VOCAB, rows, p=q[i]) for i in range(count)], axis=1).astype("int32")
    accepted, tokens = _accept_drawn(
        Decoding(length=9, do_sample=True, candidates=count),
        ops.convert_to_tensor(proposed),
        ops.convert_to_tensor(np.tile(q, (rows, 1, 1)), "float32"),
        ops.convert_to_tensor(np.tile(p_logits, (rows, 1, 1)), "float32"),
        {},
        np.uint32(3),
        np.int32(4),
    )
    accepted, tokens = numpy(accepted), numpy(tokens)
    for i in range(count + 1):
        assert chi_square(np.bincount(tokens[:, i], minlength=VOCAB), p[i])
    np.testing.assert_array_equal(tokens[:, :count][accepted], proposed[accepted])
    np.testing.assert_allclose(accepted.mean(axis=0), np.minimum(p[:count], q).sum(axis=1), atol=0.01)


def test_compiles_once_for_an_assistant(model, constant):
    model.__dict__.pop("_loops", None)
    for prompt in PROMPTS:
        model.generate([prompt], max_new_tokens=5, assistant_model=constant)
    assert [[compiled.traces for compiled in loop] for loop in model._loops.values()] == [[1, 0, 0]]


def test_errors(model):
    with pytest.raises(ValueError, match="vocabulary of 7 tokens and this model one of 5"):
        model.generate(PROMPTS, assistant_model=random_model(1, vocab_size=7))
    with pytest.raises(ValueError, match="leave out `num_beams`"):
        model.generate(PROMPTS, assistant_model=model, num_beams=2)
    with pytest.raises(ValueError, match="`max_positions` = 11"):
        model.generate(PROMPTS, assistant_model=random_model(1, max_positions=11), max_new_tokens=8)
