"""Means over the replicas of a `tf.distribute` strategy, each of which holds a part of the batch.

Keras adds up the losses and the gradients of the replicas. Inside `whole_batch()` each gives its part of the mean over
the whole batch, wherever in it the labels lie that count, so that the sum is what one device computes. Elsewhere, and
on other backends, the batch of a replica is the whole one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import keras
from keras import ops

_whole_batch = ContextVar("whole_batch", default=False)


@contextmanager
def whole_batch() -> Iterator[None]:
    """In this block `total` and `mean` are those of all replicas.

    Each replica waits in it for the others, which meanwhile run the model: what a call leaves in the model, such as
    `model.losses`, is another replica's afterwards.
    """
    token = _whole_batch.set(True)
    try:
        yield
    finally:
        _whole_batch.reset(token)


def num_replicas() -> int:
    """Returns how many replicas train together."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def total(x):
    """The sum of a tensor over the replicas."""
    if not _whole_batch.get() or num_replicas() == 1:
        return x
    import tensorflow as tf

    return tf.distribute.get_replica_context().all_reduce("sum", x)


def mean(values, weights=None):
    """The weighted mean, of which each replica gives its part; 0 where nothing has a weight.

    Args:
        values: of any shape.
        weights: of the same shape; 1 for all unless given.
    """
    weights = ops.ones_like(values) if weights is None else weights
    return ops.divide_no_nan(ops.sum(values * weights), total(ops.sum(weights)))


def reported_by_row(part, rows):
    """A replica's part of a loss, with the value that Keras reports rightly and the gradient that it has.

    Keras reports the mean of the parts weighted by the rows of each replica, times the number of replicas.

    Args:
        part: scalar.
        rows: how many the replica has.
    """
    rows = ops.cast(rows, part.dtype)
    value = part * ops.divide_no_nan(total(rows) / num_replicas(), rows)
    return part + ops.stop_gradient(value - part)


def gathered(x, axis: int = 0):
    """A tensor with those of all replicas side by side, and how many of its rows along the axis come before this one's.

    Args:
        x: the same shape on every replica, but along the axis.
        axis: along which they are put together.
    """
    if not _whole_batch.get() or num_replicas() == 1:
        return x, 0
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    counts = context.all_gather(ops.shape(x)[axis][None], axis=0)
    here = context.replica_id_in_sync_group
    return context.all_gather(x, axis=axis), tf.reduce_sum(tf.where(tf.range(tf.size(counts)) < here, counts, 0))
