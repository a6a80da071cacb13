"""Byte-pair encoding on characters, as SentencePiece has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from keras_tx.text.graph.lookup import find
from keras_tx.text.graph.merges import Merges
from keras_tx.text.graph.neighbours import previous
from keras_tx.text.graph.pieces import UNKNOWN, Pieces


class CharacterBPE:
    """Merges the characters of words.

    Source: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", 2016.

    Args:
        vocab: ids of pieces.
        merges: pairs of pieces that merge, first come first.
        fused: whether unknown characters side by side are one unknown piece.
    """

    def __init__(self, vocab: Mapping[str, int], merges: Sequence[tuple[str, str]], *, fused: bool):
        symbols = max(vocab.values()) + 1
        made = [(vocab[left], vocab[right], vocab[left + right]) for left, right in merges]
        self._merges, self._fused = Merges(made, symbols), fused
        single = sorted((ord(piece), i) for piece, i in vocab.items() if len(piece) == 1)
        self._characters, self._ids = np.array(single or [(-1, 0)], "int32").T
        self._sizes = np.zeros(symbols, "int32")
        self._sizes[[*vocab.values()]] = [*map(len, vocab)]

    def __call__(self, words) -> Pieces:
        """The pieces of words, ragged int32 `(W, None)` of code points."""
        import tensorflow as tf

        points, rows = words.values, words.value_rowids()
        found, place = find(self._characters, points)
        ids = tf.where(found, tf.gather(self._ids, place), UNKNOWN)
        place = tf.range(tf.size(points))
        units = Pieces(ids, place, place + 1)
        if self._fused:
            units = units.fused(rows)
            rows = tf.gather(rows, units.begins)
        unknown = units.ids == UNKNOWN
        bounds = (rows != previous(rows, -1)) | unknown | previous(unknown, False)
        starts = tf.where(bounds)[:, 0]
        cells = tf.RaggedTensor.from_row_starts(tf.maximum(units.ids, 0), starts, validate=False)
        merged = self._merges(cells)
        cell = merged.value_rowids()
        strange = tf.gather(tf.gather(unknown, starts), cell)  # alone in their cells
        begins = tf.gather(units.begins, tf.gather(starts, cell))
        ends = tf.gather(units.ends, tf.gather(starts, cell))
        sizes = tf.where(strange, ends - begins, tf.gather(self._sizes, merged.values))
        limits = tf.cumsum(sizes)
        return Pieces(tf.where(strange, UNKNOWN, merged.values), limits - sizes, limits)
