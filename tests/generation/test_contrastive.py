"""Contrastive search against its definition, with whole passes and no cache."""

import numpy as np
import pytest
from helpers import numpy, randomize, softmax

from keras_tx import GPTModel
from keras_tx.models.gpt.config import TINY

NEW, TOP_K, ALPHA, WIDTH = 7, 4, 0.6, 13
OPTIONS = {"max_new_tokens": NEW, "top_k": TOP_K, "penalty_alpha": ALPHA}
PROMPTS = [[3, 14, 15, 9, 2], [60, 5, 35]]


def random_model(positions: str) -> GPTModel:
    config = TINY.replace(d_model=18, num_kv_heads=1, max_positions=71, positions=positions)
    return randomize(GPTModel(config), np.random.default_rng(5))


@pytest.fixture(scope="module")
def model() -> GPTModel:
    return random_model("learned")


def passes(model: GPTModel, texts: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """The last logits and all hidden states of texts of one length; what pads them lies after what they see."""
    length = len(texts[0])
    ids = np.pad(texts, ((0, 0), (0, WIDTH - length)))
    outputs = model(ids, return_hidden_states=True)
    return numpy(outputs["logits"])[:, length - 1], numpy(outputs["hidden_states"][-1])[:, :length]


def choice(model: GPTModel, text: list[int], top_k: int, alpha: float) -> int:
    """Su et al. 2022, equation 5."""
    logits = passes(model, [text] * top_k)[0][0]
    tokens = np.argsort(-logits)[:top_k]
    hidden = passes(model, [[*text, token] for token in tokens.tolist()])[1].astype("float64")
    hidden /= np.linalg.norm(hidden, axis=-1, keepdims=True)
    likeness = np.einsum("csd,cd->cs", hidden[:, :-1], hidden[:, -1]).max(axis=1)
    return int(tokens[np.argmax((1 - alpha) * softmax(logits)[tokens] - alpha * likeness)])


def by_definition(model: GPTModel, text: list[int]) -> list[int]:
    text = list(text)
    for _ in range(NEW):
        text.append(choice(model, text, TOP_K, ALPHA))
    return text


@pytest.mark.slow
@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_tokens_are_those_of_the_definition(positions):
    """Of prompts of two lengths, padded on either side."""
    model = random_model(positions)
    want = [by_definition(model, prompt) for prompt in PROMPTS]
    greedy = numpy(model.generate(PROMPTS[:1], max_new_tokens=NEW))[0].tolist()
    assert want[0] != greedy and len(set(want[0])) > 4
    for left in (True, False):
        blank = [0, 0]
        short = [*blank, *PROMPTS[1]] if left else [*PROMPTS[1], *blank]
        mask = [[1] * 5, [0, 0, 1, 1, 1] if left else [1, 1, 1, 0, 0]]
        got = numpy(model.generate([PROMPTS[0], short], mask, **OPTIONS))[:, 5:]
        np.testing.assert_array_equal(got, [want[0][5:], want[1][3:]])


@pytest.mark.slow
def test_streams_and_keeps_its_compilation(model):
    whole = numpy(model.generate(PROMPTS[:1], **OPTIONS))
    parts = list(model.stream(PROMPTS[:1], **OPTIONS, chunk=4))
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole[:, 5:])
    other = numpy(model.generate(PROMPTS[:1], **OPTIONS | {"penalty_alpha": 0.02}))
    assert not np.array_equal(other, whole)
    assert [[compiled.traces for compiled in loop] for loop in model._loops.values()] == [[1, 1, 1]]


def test_more_candidates_than_tokens(model):
    """No more than there are; and where likeness alone counts, the least alike of all tokens."""
    got = numpy(model.generate(PROMPTS[:1], max_new_tokens=1, penalty_alpha=1.0, top_k=999))[0]
    assert got[-1] == choice(model, PROMPTS[0], TINY.vocab_size, 1.0)


def test_errors(model):
    for options in ({"do_sample": True}, {"num_beams": 2}):
        with pytest.raises(ValueError, match="`penalty_alpha` is for contrastive search"):
            model.generate(PROMPTS[:1], **OPTIONS, **options)
    with pytest.raises(ValueError, match=r"`top_k` = 50 tokens in one pass.*`max_positions` = 37"):
        GPTModel(TINY).generate(PROMPTS[:1], max_new_tokens=3, penalty_alpha=ALPHA)
