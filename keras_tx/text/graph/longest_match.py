"""WordPiece's matching, on all words of a batch at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from keras_tx.text.graph.lookup import find
from keras_tx.text.graph.marks import is_mark, number_of

PREFIX = "##"
"""The beginning of the pieces that continue a word."""

_WORD, _WITHIN = range(2)
"""The roots of the trie: of the pieces that begin a word, and of those that continue one."""

_POINTS = 0x110000


class LongestMatch:
    """Splits words into pieces of a vocabulary: always the longest that fits, from left to right.

    Source: Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", 2019, whose code has it greedy.

    The longest piece is found for every place of the texts together, one step down a trie in each turn of a loop; then
    all words are followed from piece to piece together.

    Args:
        vocab: ids of pieces.
        unknown: the id of a word that is not made of pieces.
        max_length: characters of a word; a longer one is unknown.
    """

    def __init__(self, vocab: Mapping[str, int], unknown: int, max_length: int):
        self.vocab, self.unknown, self.max_length = vocab, unknown, max_length

    def __call__(self, points, starts):
        """The pieces of words one after another.

        Args:
            points: code points of the words, int32 `(N,)`; a marked token is a word by itself.
            starts: where words begin, booleans `(N,)`.

        Returns:
            Of each piece in turn: its id, int32 `(P,)`, where it begins and where it ends, int64 `(P,)` each.
        """
        import tensorflow as tf

        begins = tf.where(starts)[:, 0]
        limits = tf.concat([begins, [tf.size(points, tf.int64)]], 0)[1:]
        word = tf.cumsum(tf.cast(starts, tf.int32)) - 1
        limit = tf.gather(limits, word)
        fits = ~is_mark(points) & tf.gather(limits - begins <= self.max_length, word)
        ids, ends = self._longest(points, tf.where(starts, _WORD, _WITHIN), tf.where(fits, limit, 0))
        ids = tf.where(is_mark(points), number_of(points), ids)
        ends = tf.where(ids == -1, limit, ends)

        chain = _follow(starts, ends)
        unknown = tf.math.segment_max(tf.cast(chain & (ids == -1), tf.int32), word)
        unknown = tf.cast(tf.gather(unknown, word), tf.bool)
        places = tf.where(starts | (chain & ~unknown))[:, 0]
        ids, ends = tf.where(unknown, self.unknown, ids), tf.where(unknown, limit, ends)
        return tf.gather(ids, places), places, tf.gather(ends, places)

    def _longest(self, points, roots, limit):
        """Returns the id of the longest piece at each place, and its end; -1 and the next place where none fits."""
        import tensorflow as tf

        edges, nodes, pieces = self._trie

        def unfinished(places, *_):
            return tf.size(places) > 0

        def descend(places, node, ids, ends, depth):
            ahead = tf.cast(tf.gather(points, places + depth), tf.int64)
            found, edge = find(edges, node * _POINTS + ahead)
            places, node = tf.boolean_mask(places, found), tf.gather(nodes, tf.boolean_mask(edge, found))
            depth += 1
            piece = tf.gather(pieces, node)
            at = tf.boolean_mask(places, piece != -1)
            ids = tf.tensor_scatter_nd_update(ids, at[:, None], tf.boolean_mask(piece, piece != -1))
            ends = tf.tensor_scatter_nd_update(ends, at[:, None], at + depth)
            inside = places + depth < tf.gather(limit, places)
            return tf.boolean_mask(places, inside), tf.boolean_mask(node, inside), ids, ends, depth

        every = tf.range(tf.size(points, tf.int64))
        places = tf.boolean_mask(every, every < limit)
        node = tf.cast(tf.gather(roots, places), tf.int64)
        ids = tf.fill(tf.shape(points), -1)
        state = (places, node, ids, every + 1, tf.constant(0, tf.int64))
        some = tf.TensorShape((None,))
        shapes = (some, some, some, some, tf.TensorShape(()))
        _, _, ids, ends, _ = tf.while_loop(unfinished, descend, state, shape_invariants=shapes)
        return ids, ends

    @cached_property
    def _trie(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Edges, `node * _POINTS + character` ascending, the nodes that they lead to, and the pieces that nodes are."""
        edges: dict[int, int] = {}
        pieces = {_WORD: -1, _WITHIN: -1}
        for piece, i in self.vocab.items():
            spelled = [(_WORD, piece)]
            if piece.startswith(PREFIX):
                spelled.append((_WITHIN, piece.removeprefix(PREFIX)))
            for root, characters in spelled:
                node = root
                for character in characters:
                    node = edges.setdefault(node * _POINTS + ord(character), len(pieces))
                    pieces.setdefault(node, -1)
                if node != root:
                    pieces[node] = i
        keys, nodes = (np.array([*numbers], "int64") for numbers in (edges.keys(), edges.values()))
        order = np.argsort(keys)
        return keys[order], nodes[order], np.array([*pieces.values()], "int32")


def _follow(starts, ends):
    """The places that one comes to from the starts, by going on from each to where it ends."""
    import tensorflow as tf

    def unfinished(places, _):
        return tf.size(places) > 0

    def go_on(places, reached):
        places = tf.gather(ends, places)
        places = tf.boolean_mask(places, places < tf.size(starts, tf.int64))
        places = tf.boolean_mask(places, ~tf.gather(starts, places))
        return places, tf.tensor_scatter_nd_update(reached, places[:, None], tf.ones_like(places, tf.bool))

    shapes = (tf.TensorShape((None,)), tf.TensorShape((None,)))
    _, reached = tf.while_loop(unfinished, go_on, (tf.where(starts)[:, 0], starts), shape_invariants=shapes)
    return reached
