"""The unigram model's segmentation, on all words of a batch at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from keras_tx.text.graph.added_tokens import first_of_overlapping
from keras_tx.text.graph.pieces import UNKNOWN, Pieces
from keras_tx.text.graph.trie import Trie

_PENALTY = 10.0
"""How much lower the score of an unknown character is than that of the worst piece."""


class Unigram:
    """The most probable way to make words of pieces, found by Viterbi's algorithm.

    Source: Kudo, "Subword Regularization: Improving Neural Network Translation Models with Multiple Subword
    Candidates", 2018. Sums, in double precision, and ties are as in the `tokenizers` library: of equals the way whose
    last piece is longest. Only where two ways differ by rounding alone may it take the other, since it reads some
    scores of `tokenizer.json` with an error in the last place.

    A loop takes a step for each character of the longest word, in which all words that are as long take part; memory is
    of the words' size times the longest piece's.

    Args:
        vocab: ids of pieces.
        scores: logarithms of the pieces' probabilities, by id.
        unknown: the id of the piece that is as good as none.
    """

    def __init__(self, vocab: Mapping[str, int], scores: Sequence[float], unknown: int):
        self.vocab, self.unknown = vocab, unknown
        self._missing, self._nothing = len(scores), len(scores) + 1  # numbers of an unknown character, and of no piece
        self._scores = np.array([*scores, min(scores) - _PENALTY, -np.inf], "float64")

    def __call__(self, words) -> Pieces:
        """The pieces of words, ragged int32 `(W, None)` of code points; unknown characters side by side are one."""
        import tensorflow as tf

        matches = self._matches(words)
        sizes = self._best(words, matches)
        backward = tf.reverse(sizes, [0])  # each piece leads to the one before it, over all words
        chain = first_of_overlapping(tf.range(tf.size(sizes)) + backward)
        last = tf.cast(tf.where(tf.reverse(chain, [0]))[:, 0], tf.int32)
        size = tf.gather(sizes, last)
        ids = tf.gather_nd(matches, tf.stack([last, self._longest - size], 1))
        pieces = Pieces(tf.where(ids == self._missing, UNKNOWN, ids), last + 1 - size, last + 1)
        return pieces.fused(tf.gather(words.value_rowids(), last), self.unknown)

    def _matches(self, words):
        """The pieces that end at each character, those of `_longest` characters first: int32 `(N, _longest)`."""
        import tensorflow as tf

        trie, points = self._trie, words.values
        limits = tf.cast(tf.gather(words.row_limits(), words.value_rowids()), tf.int32)

        def descend(places, nodes, ahead, found):
            stepped, nodes = trie.step(nodes, tf.gather(points, places + ahead))
            places, nodes = tf.boolean_mask(places, stepped), tf.boolean_mask(nodes, stepped)
            ids = tf.gather(trie.values, nodes)
            columns = tf.fill(tf.shape(ids), self._longest - 1 - ahead)
            found = found.write(ahead, tf.boolean_mask(tf.stack([places + ahead, columns, ids], 1), ids >= 0))
            inside = places + ahead + 1 < tf.gather(limits, places)
            return tf.boolean_mask(places, inside), tf.boolean_mask(nodes, inside), ahead + 1, found

        places = tf.range(tf.size(points))
        found = tf.TensorArray(tf.int32, 0, dynamic_size=True, infer_shape=False, element_shape=(None, 3))
        *_, found = _while_any(descend, places, tf.zeros_like(places), tf.constant(0), found)
        found = found.concat()
        matches = tf.fill([tf.size(points), self._longest], self._nothing)
        matches = tf.tensor_scatter_nd_update(matches, found[:, :2], found[:, 2])
        single = matches[:, -1:]
        return tf.concat([matches[:, :-1], tf.where(single == self._nothing, self._missing, single)], 1)

    def _best(self, words, matches):
        """Returns the length of the last piece in the best way to make a word up to each character, int32 `(N,)`."""
        import tensorflow as tf

        scores, sizes = tf.constant(self._scores), tf.range(self._longest, 0, -1)

        def go_on(places, limits, sums, step, chosen):
            ways = sums + tf.gather(scores, tf.gather(matches, places))
            best = tf.reduce_max(ways, 1, keepdims=True)
            longest = tf.reduce_max(tf.where(ways == best, sizes, 0), 1)
            chosen = chosen.write(step, tf.stack([places, longest], 1))
            sums = tf.concat([sums[:, 1:], best], 1)
            inside = places + 1 < limits
            places, limits, sums = (tf.boolean_mask(x, inside) for x in (places + 1, limits, sums))
            return places, limits, sums, step + 1, chosen

        begins, limits = (tf.cast(x, tf.int32) for x in (words.row_starts(), words.row_limits()))
        begins, limits = (tf.boolean_mask(x, begins < limits) for x in (begins, limits))
        before = tf.where(sizes > 1, tf.constant(-np.inf, tf.float64), 0.0)  # of ways to reach the places before
        sums = tf.tile(before[None], [tf.size(begins), 1])
        chosen = tf.TensorArray(tf.int32, 0, dynamic_size=True, infer_shape=False, element_shape=(None, 2))
        *_, chosen = _while_any(go_on, begins, limits, sums, tf.constant(0), chosen)
        chosen = chosen.concat()
        return tf.scatter_nd(chosen[:, :1], chosen[:, 1], tf.shape(matches)[:1])

    @cached_property
    def _trie(self) -> Trie:
        return Trie(self.vocab)

    @cached_property
    def _longest(self) -> int:
        """Characters of the longest piece."""
        return max(map(len, self.vocab))


def _while_any(body, first, *others):
    """A loop that goes on while there are elements of the first variable; tensors may change their first size."""
    import tensorflow as tf

    def shape(x):
        return tf.TensorShape((None, *x.shape[1:]) if tf.is_tensor(x) and x.shape.rank else ())

    state = (first, *others)
    return tf.while_loop(lambda first, *_: tf.size(first) > 0, body, state, shape_invariants=tuple(map(shape, state)))
