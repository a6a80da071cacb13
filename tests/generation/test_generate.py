"""`generate` and `stream` with a bigram model, whose every token can be foretold."""

import dataclasses
import json
from unittest.mock import patch

import keras
import numpy as np
import pytest
from generation_helpers import eagerly
from helpers import numpy, randomize

from keras_tx import BigramModel, GPTModel
from keras_tx.generation import GenerationConfig
from keras_tx.models.bigram.model import BigramConfig
from keras_tx.models.gpt.config import TINY

SUCCESSOR = np.array([3, 5, 0, 6, 2, 4, 1])
"""After 0 comes 3, then 6, 1, 5, 4, 2 and 0 again."""


@pytest.fixture(scope="module")
def model() -> BigramModel:
    model = BigramModel(vocab_size=7)
    model.backbone.token_embedding.embeddings.assign(4.0 * np.eye(7)[SUCCESSOR] + np.eye(7))
    return model


def follow(token: int, count: int) -> list[int]:
    tokens = [token]
    for _ in range(count):
        tokens.append(int(SUCCESSOR[tokens[-1]]))
    return tokens


def test_follows_the_table_up_to_either_length(model):
    expected = [follow(0, 5), follow(4, 5)]
    np.testing.assert_array_equal(model.generate(np.array([[0], [4]]), max_new_tokens=5), expected)
    np.testing.assert_array_equal(model.generate([[0], [4]], max_length=6), expected)
    np.testing.assert_array_equal(model.generate(np.array([[0]], "uint8")), [follow(0, 20)])


def test_end_tokens_stop_their_row_and_padding_follows(model):
    prompts = np.array([[0], [5]])  # 0 3 6 1 5 4, 5 4 2 0 3 6
    generated = model.generate(prompts, max_new_tokens=5, eos_token_id=1)
    np.testing.assert_array_equal(generated, [[0, 3, 6, 1, 1, 1], [5, 4, 2, 0, 3, 6]])
    generated = model.generate(prompts, max_new_tokens=5, eos_token_id=1, pad_token_id=2)
    np.testing.assert_array_equal(generated, [[0, 3, 6, 1, 2, 2], [5, 4, 2, 0, 3, 6]])
    options = {"max_new_tokens": 5, "eos_token_id": [1, 2], "pad_token_id": 6}
    generated = model.generate(prompts, **options)
    np.testing.assert_array_equal(generated, [[0, 3, 6, 1], [5, 4, 2, 6]])  # as long as the longest row
    parts = list(model.stream(prompts, **options, chunk=2))
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), generated[:, 1:])


def test_an_end_token_in_the_prompt_does_not_count(model):
    np.testing.assert_array_equal(model.generate([[1]], max_new_tokens=2, eos_token_id=1), [[1, 5, 4]])


def test_repetition_penalty_counts_prompt_and_new_tokens(model):
    """5 / 6 is less than 1: what occurred is less likely than the token itself, then than any that did not."""
    generated = numpy(model.generate([[0]], max_new_tokens=6, repetition_penalty=6.0))[0]
    np.testing.assert_array_equal(generated, follow(0, 6))
    generated = numpy(model.generate([[3, 0]], max_new_tokens=1, repetition_penalty=6.0))[0]
    assert generated[-1] == 3  # 4 / 6 is still more than the others' 0
    model_with_alternative = BigramModel(vocab_size=7)
    model_with_alternative.backbone.token_embedding.embeddings.assign(
        4.0 * np.eye(7)[SUCCESSOR] + np.eye(7)[(SUCCESSOR + 1) % 7]
    )
    generated = numpy(model_with_alternative.generate([[3, 0]], max_new_tokens=1, repetition_penalty=6.0))[0]
    assert generated[-1] == 4


def test_compiled_once_whatever_the_controls(model):
    model.__dict__.pop("_loops", None)
    options = {"max_new_tokens": 5, "do_sample": True}
    for controls in ({"temperature": 0.7, "top_p": 0.9}, {"temperature": 1.3, "top_p": 0.5, "seed": 3}):
        model.generate([[0]], **options, **controls)
    assert [compiled.traces for compiled in next(iter(model._loops.values()))] == [1, 0, 0]
    model.generate([[0], [1]], **options, temperature=0.7, top_p=0.9)
    assert [[compiled.traces for compiled in loop] for loop in model._loops.values()] == [[1, 0, 0]] * 2


def test_reads_the_weights_as_they_are_now():
    model = GPTModel(TINY, tie_embeddings=False)
    before = numpy(model.generate([[1, 2]], max_new_tokens=3))
    kernel = model.head.output_projection.kernel
    kernel.assign(-kernel)
    after = numpy(model.generate([[1, 2]], max_new_tokens=3))
    assert not np.array_equal(before, after)
    assert [[compiled.traces for compiled in loop] for loop in model._loops.values()] == [[1, 0, 0]]


def test_saves_after_generating(model, tmp_path):
    expected = numpy(model.generate([[0]], max_new_tokens=5))
    model.save(tmp_path / "bigram.keras")
    loaded = keras.saving.load_model(tmp_path / "bigram.keras")
    np.testing.assert_array_equal(loaded.generate([[0]], max_new_tokens=5), expected)


def test_dropout_plays_no_part():
    model = GPTModel(TINY, residual_dropout=0.9, attention_dropout=0.9, embedding_dropout=0.9)
    first = numpy(model.generate([[1, 2]], max_new_tokens=9))
    np.testing.assert_array_equal(model.generate([[1, 2]], max_new_tokens=9), first)


def test_several_draws_of_each_prompt(model):
    drawn = numpy(model.generate([[0], [5]], max_new_tokens=3, do_sample=True, num_return_sequences=29, seed=2))
    np.testing.assert_array_equal(drawn[:, 0], np.repeat([0, 5], 29))
    assert min(len(np.unique(rows, axis=0)) for rows in (drawn[:29], drawn[29:])) > 3
    parts = list(model.stream([[0], [5]], max_new_tokens=3, do_sample=True, num_return_sequences=29, seed=2, chunk=2))
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), drawn[:, 1:])


def test_padding_is_told_by_its_token_unless_that_is_an_end():
    model = randomize(GPTModel(TINY), np.random.default_rng(3))

    def continued(ids: list[int], *mask, **tokens) -> list[int]:
        with eagerly():
            return numpy(model.generate([ids], *mask, max_new_tokens=5, **tokens))[0, len(ids) :].tolist()

    alone, padded = continued([3, 14]), [9, 9, 3, 14]
    assert continued(padded, pad_token_id=9) == alone
    read = continued(padded)
    assert read != alone
    assert continued(padded, pad_token_id=9, eos_token_id=9) == read
    assert continued(padded, [[1] * 4], pad_token_id=9) == read


def test_special_tokens_are_the_models_unless_given(model):
    prompts = np.array([[0], [5]])
    special = BigramConfig(vocab_size=7, bos_token_id=4, eos_token_id=(1, 2), pad_token_id=6)
    with patch.object(model, "config", special):
        np.testing.assert_array_equal(model.generate(prompts, max_new_tokens=5), [[0, 3, 6, 1], [5, 4, 2, 6]])
        np.testing.assert_array_equal(model.generate(max_new_tokens=2), [[4, 2]])
        np.testing.assert_array_equal(model.generate(prompts, max_new_tokens=2, eos_token_id=4), [[0, 3, 6], [5, 4, 6]])
        endless = model.generate(prompts, max_new_tokens=5, eos_token_id=())
        np.testing.assert_array_equal(endless, [follow(0, 5), follow(5, 5)])


def test_none_by_itself_switches_off_and_in_a_config_is_not_given(model):
    """As in Transformers: of `generate`'s own arguments None survives, of a config's fields it does not."""
    prompts = np.array([[0], [6]])  # 0 3 6 1 5 4, 6 1 5 4 2 0
    special = BigramConfig(vocab_size=7, bos_token_id=4, eos_token_id=(1, 2), pad_token_id=6)
    with patch.object(model, "config", special):
        ended = [[0, 3, 6, 1], [6, 1, 6, 6]]
        unset = GenerationConfig(max_new_tokens=5, eos_token_id=None, pad_token_id=None)
        np.testing.assert_array_equal(model.generate(prompts, [[1], [1]], generation_config=unset), ended)
        endless = [follow(0, 5), follow(6, 5)]
        for given in ({}, {"generation_config": unset}):
            found = model.generate(prompts, [[1], [1]], max_new_tokens=5, eos_token_id=None, **given)
            np.testing.assert_array_equal(found, endless)
        stream = model.stream(prompts, [[1], [1]], max_new_tokens=5, eos_token_id=None)
        np.testing.assert_array_equal(np.concatenate([*stream], axis=1), np.array(endless)[:, 1:])
        # No filler: the first end token fills, and no token of a prompt is taken for padding.
        found = model.generate(prompts, max_new_tokens=5, pad_token_id=None)
        np.testing.assert_array_equal(found, [[0, 3, 6, 1], [6, 1, 1, 1]])
        with pytest.raises(ValueError, match="a text begins with `bos_token_id`: give one of them"):
            model.generate(bos_token_id=None)


OFF = (
    *("do_sample", "num_beams", "num_return_sequences", "temperature", "top_k", "top_p", "min_p", "length_penalty"),
    *("early_stopping", "repetition_penalty", "penalty_alpha", "no_repeat_ngram_size", "bad_words_ids"),
    "return_dict_in_generate",
)


def test_none_of_the_other_options(model):
    """A limit of None is no limit of its own; a rule of None is no rule."""
    for name in ("max_length", "max_new_tokens"):
        np.testing.assert_array_equal(model.generate([[0]], **{name: None}), [follow(0, 20)])
    np.testing.assert_array_equal(model.generate([[0]], max_new_tokens=None, max_length=4), [follow(0, 3)])
    ended = model.generate([[0]], max_new_tokens=5, eos_token_id=6, min_new_tokens=None, min_length=None)
    np.testing.assert_array_equal(ended, [[0, 3, 6]])
    off = dict.fromkeys(OFF)
    strict = GenerationConfig(max_new_tokens=5, repetition_penalty=6.0, no_repeat_ngram_size=1, bad_words_ids=[[3]])
    np.testing.assert_array_equal(model.generate([[0]], generation_config=strict, **off), [follow(0, 5)])


def test_top_k_of_none_draws_from_all():
    config = GenerationConfig(do_sample=True, top_k=None)
    none = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    size = BigramConfig(vocab_size=101, **none)
    assert config.resolved(size).top_k == 50 and config.resolved(size, top_k=None).top_k is None
    assert config.resolved(BigramConfig(vocab_size=7, **none)).top_k == 7


def test_a_config_survives_json():
    for config in (GenerationConfig(), GenerationConfig(top_k=None, eos_token_id=[1, 2], bad_words_ids=[[3], [4, 5]])):
        assert GenerationConfig(**json.loads(json.dumps(dataclasses.asdict(config)))) == config


def test_options_one_by_one_or_together(model):
    config = GenerationConfig(max_new_tokens=4, eos_token_id=5)
    np.testing.assert_array_equal(model.generate([[0]], generation_config=config), [[0, 3, 6, 1, 5]])
    output = model.generate([[0]], generation_config=config, max_new_tokens=2, return_dict_in_generate=True)
    np.testing.assert_array_equal(output.sequences, [[0, 3, 6]])
    assert output.sequences_scores is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_length": -1}, "`min_length` must be at least 0; got -1"),
        ({"num_beams": 0}, "`num_beams` must be at least 1"),
        ({"early_stopping": "soon"}, '`early_stopping` must be True, False or "never"'),
        ({"bad_words_ids": [[]]}, "`bad_words_ids` must be runs of at least one token"),
        ({"bad_words_ids": [[0, 7]]}, "`bad_words_ids` holds .0, 7., outside the vocabulary of 7"),
        ({"num_beams": 2, "num_return_sequences": 3}, "is more than `num_beams` = 2"),
        ({"num_return_sequences": 3}, "needs beams or draws"),
        ({"max_length": 5, "min_length": 6}, "at least 6 and at most 5 tokens"),
        ({"max_new_tokens": 5, "min_new_tokens": 6}, "at least 7 and at most 6 tokens"),
        ({"input_ids": None}, "give one of them"),
    ],
    ids=str,
)
def test_options_out_of_range(model, options, message):
    with pytest.raises(ValueError, match=message):
        model.generate(**{"input_ids": [[0]], **options})
    with pytest.raises(TypeError, match="num_beam"):
        model.generate([[0]], num_beam=2)


def test_stream_errors(model):
    with pytest.raises(ValueError, match="`chunk` must be at least 1"):
        next(model.stream([[0]], chunk=0))
