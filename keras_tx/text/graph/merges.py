"""Byte-pair encoding's merges, on many words at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_tx.text.graph.lookup import find
from keras_tx.text.graph.neighbours import following, previous

NONE = np.iinfo("int32").max
"""The rank of a pair that does not merge."""


class Merges:
    """Merges neighbouring symbols of words: always the pair of lowest rank, of equals the leftmost, until none is left.

    Source: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", 2016.

    Every word takes one step in each turn of a loop: all its pairs of lowest rank merge together. They may if no merge
    of lower rank uses what they make, and for nearly all that training gives none does; else one merges at a time.

    Args:
        merges: left symbol, right symbol and what they make, in order of rank; of equal pairs the last counts.
        symbols: number of symbols.
    """

    def __init__(self, merges: Sequence[tuple[int, int, int]], symbols: int):
        self.symbols = symbols
        left, right, made = np.array(merges, "int64").reshape(-1, 3).T
        ranks = np.arange(len(left), dtype="int32")
        pairs, last = np.unique((left * symbols + right)[::-1], return_index=True)
        order = len(left) - 1 - last
        self.pairs, self.ranks, self.made = pairs, ranks[order], made.astype("int32")
        first_use = np.full(symbols, NONE, "int32")
        for parts in (left, right):
            np.minimum.at(first_use, parts[order], ranks[order])
        self.single = first_use[made] < ranks
        self.joints = self._joints(left, right, made)

    def _joints(self, left, right, made) -> np.ndarray:
        """The pairs of first symbols that stand side by side in some token: nowhere else do words grow together."""
        head = tail = np.arange(self.symbols)
        for _ in made:  # as often as parts are made of parts; seldom twenty times
            heads, tails = head.copy(), tail.copy()
            heads[made], tails[made] = head[left], tail[right]
            if (heads == head).all() and (tails == tail).all():
                break
            head, tail = heads, tails
        return np.unique(tail[left] * self.symbols + head[right])

    def __call__(self, words):
        """Ragged int32 `(W, None)` of symbols to the like of merged ones."""
        import tensorflow as tf

        if not len(self.pairs):
            return words
        rows = words.value_rowids()
        before = tf.cast(previous(words.values, 0), "int64")
        joined, _ = find(self.joints, before * self.symbols + tf.cast(words.values, "int64"))
        starts = (rows != previous(rows, -1)) | ~joined
        parts = tf.cumsum(tf.cast(starts, "int32")) - 1
        symbols, parts, _ = tf.while_loop(
            lambda symbols, parts, unfinished: unfinished,
            self._merge_once,
            (words.values, parts, tf.constant(True)),
            shape_invariants=(tf.TensorShape((None,)), tf.TensorShape((None,)), tf.TensorShape(())),
        )
        rows = tf.gather(tf.boolean_mask(rows, starts), parts)
        return tf.RaggedTensor.from_value_rowids(symbols, rows, words.nrows(), validate=False)

    def _merge_once(self, symbols, parts, _):
        import tensorflow as tf

        pairs = tf.cast(symbols, "int64") * self.symbols + tf.cast(following(symbols, 0), "int64")
        merges, place = find(self.pairs, pairs)
        rank = tf.where(merges & (parts == following(parts, -1)), tf.gather(self.ranks, place), NONE)
        lowest = tf.gather(tf.math.segment_min(rank, parts), parts)
        chosen = self._apart((rank != NONE) & (rank == lowest), rank, parts)
        made = tf.gather(self.made, tf.where(chosen, rank, 0))
        kept = ~previous(chosen, False)
        symbols = tf.boolean_mask(tf.where(chosen, made, symbols), kept)
        return symbols, tf.boolean_mask(parts, kept), tf.reduce_any(chosen)

    def _apart(self, chosen, rank, parts):
        """Returns which of the chosen pairs merge together: of overlapping pairs, as in `aaaa`, every second."""
        import tensorflow as tf

        place = tf.range(tf.size(chosen))
        begins = chosen & ~previous(chosen, False)
        runs = tf.cumsum(tf.cast(begins, "int32")) - 1
        begin = tf.gather(tf.concat([tf.boolean_mask(place, begins), [0]], 0), tf.maximum(runs, 0))
        apart = chosen & ((place - begin) % 2 == 0)
        if self.single.any():
            first = tf.math.segment_min(tf.where(chosen, place, NONE), parts)
            apart &= ~tf.gather(self.single, tf.where(chosen, rank, 0)) | (place == tf.gather(first, parts))
        return apart
