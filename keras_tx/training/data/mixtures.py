"""Several tasks learned at once, each as text to text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_tx.ops.checks import require_positive
from keras_tx.ops.losses import IGNORED
from keras_tx.text import Tokenizer

_BLOCK = 4096
"""Tasks drawn together."""

_TOGETHER = 64
"""Texts that become ids together."""


@dataclass(frozen=True)
class MixtureTask:
    """One of the tasks of a mixture.

    It is made of pairs of texts by `text_to_text`; of text alone it is, for instance,
    `MixtureTask(lambda start: denoising_batches(ids, objective, 512, 1, seed=0, start=start).unbatch(), size)`.
    """

    examples: Callable[[int], Any]
    """Gives the endless `tf.data.Dataset` of its examples from a number on; those of all tasks are alike in shape."""

    size: int
    """The number of different examples."""


def mixing_rates(sizes: Sequence[int], *, limit: int | None = None, temperature: float = 1.0) -> np.ndarray:
    """Returns how often each task comes: in proportion to its size, at most `limit`, evened out by `temperature`.

    Source: Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", 2020,
    section 3.5.2.

    Args:
        sizes: numbers of examples.
        limit: the largest size that counts, the paper's K.
        temperature: rates are raised to the power of its inverse, so that above 1 they become more alike.

    Returns:
        The rates, which add up to 1.

    Raises:
        ValueError: if a size, the limit or the temperature is not positive.
    """
    if not len(sizes) or min(sizes) < 1 or (limit is not None and limit < 1) or not temperature > 0:
        raise ValueError(
            "`sizes`, `limit` and `temperature` must be positive, and there must be a size; "
            f"got {list(sizes)}, {limit} and {temperature}."
        )
    counted = np.minimum(sizes, limit or max(sizes))
    rates = (counted / counted.sum()) ** (1 / temperature)
    return rates / rates.sum()


def mixed_batches(
    tasks: Sequence[MixtureTask],
    batch_size: int,
    *,
    seed: int,
    start: int = 0,
    limit: int | None = None,
    temperature: float = 1.0,
):
    """An endless `tf.data.Dataset` of batches of several tasks, begun at step `start`.

    Which task an example is of is drawn by `mixing_rates`, from `seed` and the example's number alone; and a task's
    examples come in their order. So a run that resumes at a step sees what it would have seen.

    Args:
        tasks: to mix.
        batch_size: examples in a batch.
        seed: of the draws.
        start: the first step. What came before is counted, in time proportional to it.
        limit, temperature: as of `mixing_rates`.

    Returns:
        A set of the tasks' examples in batches.
    """
    import tensorflow as tf

    require_positive(batch_size=batch_size)
    rates = mixing_rates([task.size for task in tasks], limit=limit, temperature=temperature)
    limits = tf.constant(np.cumsum(rates)[:-1], tf.float64)

    def choices(block):
        draws = tf.random.stateless_uniform([_BLOCK], tf.stack([tf.cast(seed, tf.int64), block]), dtype=tf.float64)
        return tf.searchsorted(limits, draws, side="right", out_type=tf.int64)

    blocks, rest = divmod(start * batch_size, _BLOCK)
    done = np.bincount(choices(tf.constant(blocks, tf.int64))[:rest], minlength=len(tasks))
    before = tf.data.Dataset.range(blocks).map(lambda block: tf.math.bincount(choices(block), minlength=len(tasks)))
    done = done + before.reduce(tf.zeros([len(tasks)], tf.int32), tf.add).numpy()
    order = tf.data.Dataset.range(blocks, np.iinfo("int64").max).map(choices).unbatch().skip(rest)
    examples = [task.examples(int(count)) for task, count in zip(tasks, done, strict=True)]
    mixed = tf.data.Dataset.choose_from_datasets(examples, order, stop_on_empty_dataset=True)
    return mixed.batch(batch_size, drop_remainder=True).prefetch(4)


def text_to_text(
    sources: Sequence[str],
    targets: Sequence[str],
    tokenizer: Tokenizer,
    *,
    prefix: str = "",
    max_length: int = 512,
    max_target_length: int | None = None,
    seed: int = 0,
) -> MixtureTask:
    """A task whose sources and targets are texts.

    Args:
        sources: what is read.
        targets: what is to be written, one for each.
        tokenizer: makes ids of them; its suffix ends both.
        prefix: stands before every source and says what to do, as `"summarize: "`.
        max_length: tokens of a source; longer ones lose the rest, shorter ones are filled up.
        max_target_length: those of a target; as many unless given.
        seed: of the orders in which examples come, each once an epoch.

    Returns:
        The task. Its examples are dicts: `input_ids` and `attention_mask`, int32 `(max_length,)`, and `labels`,
        `(max_target_length,)`, -100 where the target has ended.

    Raises:
        ValueError: if there are no texts, or not as many of each.
    """
    import tensorflow as tf

    if not len(sources) or len(sources) != len(targets):
        raise ValueError(
            f"there must be a target for each source, and one at least; got {len(targets)} for {len(sources)}."
        )
    texts = tf.constant([prefix + source for source in sources]), tf.constant(list(targets))
    options: dict[str, Any] = {"truncation": True, "padding": "max_length"}

    def place(number):
        key = tf.stack([tf.constant(seed, tf.int64), number // len(sources)])
        return tf.random.experimental.index_shuffle(number % len(sources), key, len(sources) - 1)

    def together(places):
        given, wanted = (tf.gather(text, places) for text in texts)
        source = tokenizer(given, max_length=max_length, **options)
        target = tokenizer(wanted, max_length=max_target_length or max_length, **options)
        labels = tf.where(target["attention_mask"] == 1, target["input_ids"], IGNORED)
        return {"input_ids": source["input_ids"], "attention_mask": source["attention_mask"], "labels": labels}

    def examples(start: int):
        places = tf.data.Dataset.range(start, np.iinfo("int64").max).map(place).batch(_TOGETHER, drop_remainder=True)
        return places.map(together, num_parallel_calls=tf.data.AUTOTUNE).unbatch()

    return MixtureTask(examples, len(sources))
