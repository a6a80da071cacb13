"""Batches of masked rows as tf.data sets whose position is a step number."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from keras_tx.training.masking import Masking

TARGETS = ("next_sentence_label",)
"""What of the rows is no input."""


def masked_batches(
    rows: Mapping[str, np.ndarray],
    masking: Masking,
    batch_size: int,
    *,
    seed: int,
    start: int = 0,
    dynamic: bool = True,
    documents_apart: bool = False,
):
    """An endless `tf.data.Dataset` of batches for masked language models, begun at step `start`.

    Every row comes once an epoch, in an order of the epoch's own. The batch of a step depends on `seed` and the step
    alone, so a run that resumes at a step sees what it would have seen.

    Args:
        rows: `input_ids`, int32 `(R, T)`, and whatever goes with them, as `pack` and `sentence_pairs` give it.
        masking: hides tokens.
        batch_size: rows in a batch; one may have the end of an epoch and the beginning of the next.
        seed: of orders and masks.
        start: the first step.
        dynamic: hide other tokens each time; False: the same ones in every epoch.
        documents_apart: of rows that `pack` gave, let tokens see those of their own document alone; False: all.

    Returns:
        A set of `(inputs, labels)`, dicts of tensors `(batch_size, ...)`: the rows' arrays, where `segment_ids` have
        become an `attention_mask`, `(batch_size, T, T)`, if documents are kept apart; and in the second `"labels"`,
        -100 for what is not to be predicted, and `"next_sentence_label"` if the rows have it.

    Raises:
        ValueError: if there are no rows, or no `segment_ids` to keep documents apart by.
    """
    import tensorflow as tf

    count = len(rows["input_ids"])
    if not count or batch_size < 1:
        raise ValueError(f"there must be rows, and `batch_size` must be 1 or above; got {count} and {batch_size}.")
    if documents_apart and "segment_ids" not in rows:
        raise ValueError("`documents_apart=True` needs rows with `segment_ids`, as `pack` gives them.")
    tensors = {name: tf.constant(array) for name, array in rows.items()}
    if not dynamic:
        tensors["input_ids"], tensors["labels"] = masking(tensors["input_ids"], tf.constant([seed, -1], tf.int64))

    def batch(step):
        places = step * batch_size + tf.range(batch_size, dtype=tf.int64)
        epochs = places // count
        keys = tf.stack([tf.fill([batch_size], tf.cast(seed, tf.int64)), epochs, tf.zeros_like(epochs)], 1)
        order = _shuffled(places % count, tf.cast(keys, tf.int32), count - 1)
        taken = {name: tf.gather(tensor, order) for name, tensor in tensors.items()}
        if dynamic:
            key = tf.stack([tf.cast(seed, tf.int64), step])
            taken["input_ids"], taken["labels"] = masking(taken["input_ids"], key)
        segments = taken.pop("segment_ids", None)
        if documents_apart:
            apart = (segments[:, :, None] == segments[:, None]) & (segments[:, None] > 0)
            taken["attention_mask"] = tf.cast(apart, tf.int32)
        labels = {name: taken.pop(name) for name in ("labels", *TARGETS) if name in taken}
        return taken, labels

    return tf.data.Dataset.range(start, np.iinfo("int64").max).map(batch).prefetch(4)


def _shuffled(places, keys, last: int):
    """Places of shuffled epochs, each with its epoch's key, `(batch_size, 3)`; the public function takes but one."""
    import tensorflow as tf

    return tf.raw_ops.RandomIndexShuffle(index=places, seed=keys, max_index=tf.constant(last, tf.int64), rounds=4)
