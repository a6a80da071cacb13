"""Numbers found among sorted ones: a table that a graph can hold as a constant."""

from __future__ import annotations

import numpy as np


def find(sorted_numbers: np.ndarray, numbers):
    """Whether each number of a TensorFlow tensor is among those sorted, and where."""
    import tensorflow as tf

    table = tf.constant(sorted_numbers)
    place = tf.minimum(tf.searchsorted(table, numbers), len(sorted_numbers) - 1)
    return tf.gather(table, place) == numbers, place
