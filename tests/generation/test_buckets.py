"""Prompts and results of many sizes share programs, and no token is another for it."""

import os
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
from helpers import long_after, numpy, randomize

from keras_tx import GPTModel, T5Model, Transformer, attention
from keras_tx.generation import Decoding, generate
from keras_tx.generation.buckets import filled_up, of_buckets, rows_of_buckets
from keras_tx.generation.request import Prompts

SIZES = {"vocab_size": 40, "num_heads": 2, "d_model": 8, "d_ff": 10}
LONG = 77  # two chunks of 64 for two rows, the second of which is not full


def exactly(model, *prompts, **options):
    """The tokens by buffers as long as they have to be, and prompts read at once."""

    with (
        mock.patch.object(generate, "of_buckets", lambda decoding, *_: decoding),
        mock.patch.object(generate, "filled_up", lambda prompts, *_: prompts),
    ):
        return numpy(model.generate(*prompts, **options))


@pytest.fixture(scope="module")
def gpt():
    """A model with every kind of cache: keys by position, a window's ring with sink tokens, sums."""
    variants = [attention.SlidingWindow(window_size=3, num_global=1), attention.Linear(), "relative_position"]
    model = GPTModel(**SIZES, num_layers=3, max_positions=100, attention=variants)
    return randomize(model, np.random.default_rng(0))


def prompts(rows: int = 2, length: int = LONG):
    rng = np.random.default_rng(1)
    ids, mask = rng.integers(0, SIZES["vocab_size"], (rows, length)), np.ones((rows, length), "int32")
    mask[0, :3] = 0
    return ids, mask


@pytest.mark.slow
def test_tokens_are_those_of_a_prompt_read_at_once(gpt):
    options = {"max_new_tokens": 9, "repetition_penalty": 1.3, "no_repeat_ngram_size": 2}
    got = numpy(gpt.generate(*prompts(), **options))
    assert got.shape == (2, LONG + 9) and len(np.unique(got[:, LONG:])) > 4
    np.testing.assert_array_equal(got, exactly(gpt, *prompts(), **options))


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"num_beams": 3, "early_stopping": "never", "num_return_sequences": 2, "length_penalty": 2.0},
        {"penalty_alpha": 0.6, "top_k": 4},
        {"do_sample": True, "seed": 3, "top_p": 0.9},
        {"assisted": True},
    ],
    ids=lambda options: next(iter(options)),
)
@pytest.mark.parametrize("kind", ["decoder", "encoder-decoder"])
def test_every_method_gives_the_same_tokens(kind, options):
    rng = np.random.default_rng(2)
    ids, mask = prompts()
    if kind == "decoder":
        model, other = (randomize(GPTModel(**SIZES, num_layers=n, max_positions=100), rng) for n in (2, 1))
        mask = mask[:, ::-1]  # ends of rows in different chunks
    else:
        model, other = (randomize(T5Model(**SIZES, num_layers=n, d_kv=4), rng) for n in (2, 1))
    options = {"max_new_tokens": 11, **options}
    if options.pop("assisted", False):
        options["assistant_model"] = other
    np.testing.assert_array_equal(model.generate(ids, mask, **options), exactly(model, ids, mask, **options))


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"num_beams": 2}], ids=["greedy", "beams"])
def test_targets_that_are_begun_lie_in_the_buffer(options):
    """Of 11 rows, to which one is added, with padding within."""
    model = randomize(T5Model(**SIZES, num_layers=2, d_kv=4), np.random.default_rng(2))
    ids, mask = prompts(11)
    begun, begun_mask = prompts(11, 7)
    given = {"decoder_input_ids": begun, "decoder_attention_mask": begun_mask, "max_new_tokens": 6, **options}
    got = numpy(model.generate(ids, mask, **given))
    assert got.shape == (11, 1 + 7 + 6)
    np.testing.assert_array_equal(got, exactly(model, ids, mask, **given))


def test_a_source_is_not_padded_where_that_would_count():
    sizes = {"d_model": 8, "num_heads": 2, "num_layers": 1, "dim_feedforward": 10}
    assert Transformer(40, **sizes).padded_length(LONG, 128) == 128
    assert Transformer(40, **sizes, attention="block_sparse").padded_length(LONG, 128) == LONG


@pytest.mark.parametrize("positions", long_after(1, [703, None, 1024]))
def test_few_programs_for_many_sizes(positions, gpt):
    """Prompts of 1 to 500 tokens and results of 1 to 200, with an assistant's drafts and without."""
    for candidates in (0, 5):

        def decoding(prompt, new, candidates=candidates):
            return of_buckets(Decoding(prompt + new, candidates=candidates), gpt, 1, prompt, positions)

        sizes = [(prompt, new) for prompt in range(1, 501) for new in range(1, 201)]
        assert len({decoding(*size) for size in sizes}) <= 6
        for prompt, new in sizes[::97]:
            found = decoding(prompt, new)
            assert found.slots >= prompt + new + candidates and found.slots % found.chunk == 0


def test_no_chunk_is_longer_than_the_model_has_positions(gpt):
    decoding = of_buckets(Decoding(7), gpt, 1, 6, 9)
    assert decoding.chunk == 9 and decoding.slots == 9


def test_a_batch_grows_by_less_than_a_tenth():
    for rows in range(1, 700):
        padded = rows_of_buckets(rows, Decoding(9))
        assert rows <= padded < 1.1 * rows
        assert rows_of_buckets(rows, Decoding(9, do_sample=True)) == rows
    assert len({rows_of_buckets(rows, Decoding(9)) for rows in range(1, 513)}) < 80


def test_fills_up_with_padding_and_the_last_row():
    prompts = Prompts(np.arange(22).reshape(11, 2), np.tile([0, 1], (11, 1)), None)
    ids, mask = map(numpy, filled_up(prompts, Decoding(9, pad_token_id=9), 4)[:2])
    assert ids.shape == mask.shape == (12, 4)
    np.testing.assert_array_equal(ids[[0, 10, 11]], [[0, 1, 9, 9], [20, 21, 9, 9], [20, 21, 9, 9]])
    np.testing.assert_array_equal(mask, np.tile([0, 1, 0, 0], (12, 1)))


@pytest.mark.slow
def test_rows_that_are_added_change_nothing(gpt):
    ids, mask = prompts(11, 5)
    got = numpy(gpt.generate(ids, mask, max_new_tokens=4))
    assert got.shape == (11, 9)
    np.testing.assert_array_equal(got[:2], gpt.generate(ids[:2], mask[:2], max_new_tokens=4))


@pytest.mark.slow
def test_a_hundred_prompts_compile_at_most_eight_programs():
    model = GPTModel(**SIZES, num_layers=1, max_positions=1024)
    rng = np.random.default_rng(3)
    for _ in range(100):
        prompt, new = rng.integers(1, 501), rng.integers(1, 201)
        ids = rng.integers(0, SIZES["vocab_size"], (1, prompt))
        assert model.generate(ids, max_new_tokens=new).shape == (1, prompt + new)
    assert sum(compiled.traces for loop in model._loops.values() for compiled in loop) <= 8


PROGRAM = """
import sys, keras_tx
keras_tx.compilation_cache(sys.argv[1])
model = keras_tx.GPTModel(vocab_size=40, num_layers=1, num_heads=2, d_model=8, d_ff=10, max_positions=64)
model.generate([[1, 2]], max_new_tokens=2)
"""


@pytest.mark.slow
def test_a_second_process_finds_what_the_first_compiled(tmp_path):
    def kept():
        subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], env=os.environ, check=True)
        return sorted(path.name for path in tmp_path.iterdir() if not path.name.endswith("-atime"))

    first = kept()
    assert first and kept() == first
