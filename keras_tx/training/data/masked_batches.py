"""Batches of masked rows as tf.data sets whose position is a step number."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from keras_tx.training.data.masking import Masking
from keras_tx.training.data.records import Records

TARGETS = ("next_sentence_label",)
"""The entries of a row that are not inputs of the model."""


def masked_batches(
    rows: Mapping[str, np.ndarray] | Records,
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
        rows: `input_ids`, int32 `(R, T)`, and whatever goes with them, as `pack` and `sentence_pairs` give it; or
            `Records` of the like, whose rows are read when their turn comes, and which give the same batches.
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

    count, names = (len(rows), rows.features) if isinstance(rows, Records) else (len(rows["input_ids"]), rows)
    if not count or batch_size < 1:
        raise ValueError(f"there must be rows, and `batch_size` must be 1 or above; got {count} and {batch_size}.")
    if documents_apart and "segment_ids" not in names:
        raise ValueError("`documents_apart=True` needs rows with `segment_ids`, as `pack` gives them.")
    seed = tf.constant(seed, tf.int64)

    def order(step):
        places = step * batch_size + tf.range(batch_size, dtype=tf.int64)
        epochs = places // count
        keys = tf.stack([tf.fill([batch_size], seed), epochs, tf.zeros_like(epochs)], 1)
        return _shuffled(places % count, tf.cast(keys, tf.int32), count - 1)

    def batch(step, places, taken):
        ids = taken["input_ids"]
        if dynamic:
            taken["input_ids"], taken["labels"] = masking(ids, tf.stack([seed, step]))
        else:
            taken["input_ids"], taken["labels"] = _masked_by_row(masking, ids, seed, places)
        segments = taken.pop("segment_ids", None)
        if documents_apart:
            apart = (segments[:, :, None] == segments[:, None]) & (segments[:, None] > 0)
            taken["attention_mask"] = tf.cast(apart, tf.int32)
        labels = {name: taken.pop(name) for name in ("labels", *TARGETS) if name in taken}
        return taken, labels

    steps = tf.data.Dataset.range(start, np.iinfo("int64").max)
    orders = steps.map(order)
    taken = rows.batches(orders, batch_size) if isinstance(rows, Records) else orders.map(_gatherer(rows))
    return tf.data.Dataset.zip(steps, orders, taken).map(batch).prefetch(4)


def _gatherer(rows: Mapping[str, np.ndarray]):
    """A function that gives the rows at places."""
    import tensorflow as tf

    tensors = {name: tf.constant(array) for name, array in rows.items()}
    return lambda places: {name: tf.gather(tensor, places) for name, tensor in tensors.items()}


def _masked_by_row(masking: Masking, ids, seed, places):
    """Ids with tokens hidden, the same ones each time the row of a place comes, and labels."""
    import tensorflow as tf

    def masked(row):
        of_row, place = row
        hidden, labels = masking(of_row[None], tf.stack([seed, -1 - place]))  # steps are not negative
        return hidden[0], labels[0]

    return tf.map_fn(masked, (ids, places), fn_output_signature=(ids.dtype, ids.dtype))


def _shuffled(places, keys, last: int):
    """Places of shuffled epochs, each with its epoch's key, `(batch_size, 3)`; the public function takes but one."""
    import tensorflow as tf

    return tf.raw_ops.RandomIndexShuffle(index=places, seed=keys, max_index=tf.constant(last, tf.int64), rounds=4)
