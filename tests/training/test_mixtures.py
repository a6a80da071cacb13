"""Mixtures of tasks: their rates, and batches that resume."""

import numpy as np
import pytest
import tensorflow as tf

from keras_tx.text import CharTokenizer
from keras_tx.training.data.mixtures import MixtureTask, mixed_batches, mixing_rates, text_to_text

pytestmark = pytest.mark.any_backend


def numbers(sign: int, size: int) -> MixtureTask:
    """Examples that count up."""
    return MixtureTask(lambda start: tf.data.Dataset.range(start, 10**9).map(lambda i: sign * (i + 1)), size)


def test_rates():
    np.testing.assert_allclose(mixing_rates([1, 3, 4]), [1 / 8, 3 / 8, 1 / 2])
    np.testing.assert_allclose(mixing_rates([1, 3, 100], limit=4), [1 / 8, 3 / 8, 1 / 2])
    np.testing.assert_allclose(mixing_rates([1, 4], temperature=2), [1 / 3, 2 / 3])
    np.testing.assert_allclose(mixing_rates([1, 1000], temperature=1e9), [1 / 2, 1 / 2], rtol=1e-6)


@pytest.mark.parametrize("arguments", [([],), ([3, 0],), ([1], 0), ([1], None, 0.0)])
def test_rates_that_cannot_be(arguments):
    sizes, *options = arguments
    with pytest.raises(ValueError, match="must be positive"):
        mixing_rates(sizes, **dict(zip(("limit", "temperature"), options, strict=False)))


def test_tasks_come_by_their_rates_and_in_their_order():
    data = mixed_batches([numbers(1, 300), numbers(-1, 100)], 1009, seed=3)
    first, second = (batch.numpy() for batch in data.take(2))
    both = np.concatenate([first, second])
    for sign in (1, -1):
        own = sign * both[sign * both > 0]
        np.testing.assert_array_equal(own, np.arange(1, len(own) + 1))
    assert abs((both > 0).mean() - 0.75) < 5 * (0.75 * 0.25 / 2018) ** 0.5


def test_mixtures_resume_at_any_step():
    def taken(start, steps):
        data = mixed_batches([numbers(1, 5), numbers(-1, 3), numbers(1000, 2)], 701, seed=7, start=start, limit=4)
        return [batch.numpy() for batch in data.take(steps)]

    whole = taken(0, 17)  # beyond two blocks of draws
    for start in (1, 6, 13):
        np.testing.assert_array_equal(whole[start:], taken(start, 17 - start))
    other = next(iter(mixed_batches([numbers(1, 5), numbers(-1, 3), numbers(1000, 2)], 701, seed=8))).numpy()
    assert (whole[0] != other).any()


def test_text_to_text():
    tokenizer = CharTokenizer("abcdefghijklmnop: ")
    sources, targets = [*"abcdefghijk"], [2 * c for c in "abcdefghijk"]
    task = text_to_text(sources, targets, tokenizer, prefix="do: ", max_length=7, max_target_length=3, seed=1)
    assert task.size == 11
    examples = [{name: x.numpy() for name, x in example.items()} for example in task.examples(0).take(110)]
    letters = [tokenizer.decode([i]) for i in range(tokenizer.vocab_size)]
    epochs = []
    for example in examples:
        length = example["attention_mask"].sum()
        text = "".join(letters[i] for i in example["input_ids"][:length])
        assert length == 5 and text.startswith("do: ")
        assert "".join(letters[i] for i in example["labels"][:2]) == 2 * text[-1] and example["labels"][2] == -100
        epochs.append(text[-1])
    epochs = np.array(epochs).reshape(10, 11)
    assert all(sorted(epoch) == sources for epoch in epochs) and len({*map(tuple, epochs)}) > 5
    for start in (1, 64, 100):
        for example, again in zip(examples[start:], task.examples(start).take(110 - start), strict=True):
            for name, x in example.items():
                np.testing.assert_array_equal(x, again[name])


def test_long_texts_are_cut():
    tokenizer = CharTokenizer("ab")
    [example] = text_to_text(["abab"], ["bbaa"], tokenizer, max_length=3).examples(0).take(1)
    assert tokenizer.decode(example["input_ids"].numpy()) == "aba"
    assert tokenizer.decode(example["labels"].numpy()) == "bba"


def test_texts_that_do_not_pair():
    for sources, targets in (([], []), (["a"], ["b", "a"])):
        with pytest.raises(ValueError, match="a target for each source"):
            text_to_text(sources, targets, CharTokenizer("ab"))
