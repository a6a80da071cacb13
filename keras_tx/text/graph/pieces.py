"""The pieces that SentencePiece's models split words into."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from keras_tx.text.graph.neighbours import previous

UNKNOWN = -1
"""The id of characters that no piece is for."""


class Pieces(NamedTuple):
    """The pieces of words, one after another."""

    ids: Any
    """int32 `(P,)`, `UNKNOWN` among them."""

    begins: Any
    """The index of each piece's first character among those of all words, int32 `(P,)`."""

    ends: Any
    """The index after its last character, int32 `(P,)`."""

    def fused(self, words, unknown: int = UNKNOWN) -> Pieces:
        """Returns the pieces with neighbouring unknown ones joined to one.

        Args:
            words: of which word each is, `(P,)`.
            unknown: the piece that the text itself may name; with unknown ones it is one of them.
        """
        import tensorflow as tf

        strange = (self.ids == UNKNOWN) | (self.ids == unknown)
        first = ~(strange & previous(strange, False) & (words == previous(words, -1)))
        group = tf.cumsum(tf.cast(first, tf.int32)) - 1
        ends = tf.math.segment_max(self.ends, group)
        several = tf.math.segment_sum(tf.ones_like(group), group) > 1
        ids = tf.where(several, UNKNOWN, tf.boolean_mask(self.ids, first))
        return Pieces(ids, tf.boolean_mask(self.begins, first), ends)

    def spelled(self, points, byte_ids: np.ndarray) -> Pieces:
        """Returns the pieces with unknown ones replaced by their bytes, each of which stands for all of the piece.

        Args:
            points: all words' code points, int32 `(N,)`.
            byte_ids: the pieces of the bytes 0 to 255.
        """
        import tensorflow as tf

        data = tf.strings.unicode_encode(points[:, None], "UTF-8")
        limits = tf.cumsum(tf.strings.length(data))
        limits = tf.concat([[0], limits], 0)
        first, limit = tf.gather(limits, self.begins), tf.gather(limits, self.ends)
        known = self.ids != UNKNOWN
        places = tf.ragged.range(first, tf.where(known, first + 1, limit))
        piece = tf.cast(places.value_rowids(), tf.int32)
        data = tf.cast(tf.io.decode_raw(tf.strings.reduce_join(data), tf.uint8), tf.int32)
        ids = tf.gather(self.ids, piece)
        ids = tf.where(ids == UNKNOWN, tf.gather(byte_ids, tf.gather(data, places.values)), ids)
        return Pieces(ids, tf.gather(self.begins, piece), tf.gather(self.ends, piece))
