"""The elements before and after each one of a vector."""

from __future__ import annotations


def previous(x, first):
    """A TensorFlow vector moved by one place, so that each element stands where the next one stood."""
    import tensorflow as tf

    return tf.concat([tf.constant([first], x.dtype), x], 0)[:-1]


def following(x, last):
    """A TensorFlow vector moved by one place, so that each element stands where the one before it stood."""
    import tensorflow as tf

    return tf.concat([x, tf.constant([last], x.dtype)], 0)[1:]
