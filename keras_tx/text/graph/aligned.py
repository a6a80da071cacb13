"""Texts as code points that remember which characters they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_tx.text.graph.added_tokens import AddedToken, find_added_tokens
from keras_tx.text.graph.marks import is_mark
from keras_tx.text.graph.neighbours import previous

ITSELF = -1
"""Stands for the character itself in what a character becomes."""


class AlignedText(NamedTuple):
    """The code points of texts one after another.

    Tokens already found split a text into stretches, each of which is normalized by itself.
    """

    points: Any
    """int32 `(N,)`, marked tokens among them."""

    rows: Any
    """The index of the text that each belongs to, int64 `(N,)`, ascending."""

    begins: Any
    """The first character of the text that each stands for, int32 `(N,)`."""

    ends: Any
    """The character after the last that each stands for, int32 `(N,)`."""

    count: Any
    """Number of texts, an int64 scalar."""

    @classmethod
    def of(cls, texts) -> AlignedText:
        """TensorFlow strings `(B,)`; what is not UTF-8 becomes U+FFFD."""
        import tensorflow as tf

        points = tf.strings.unicode_decode(texts, "UTF-8", errors="replace")
        begins = tf.ragged.range(tf.cast(points.row_lengths(), tf.int32)).flat_values
        return cls(points.values, points.value_rowids(), begins, begins + 1, points.nrows())

    @property
    def ragged(self):
        """The code points text by text, ragged `(B, None)`."""
        import tensorflow as tf

        return tf.RaggedTensor.from_value_rowids(self.points, self.rows, self.count, validate=False)

    @property
    def starts(self):
        """Which elements begin a stretch of text, booleans `(N,)`; a marked token is one by itself."""
        return (self.rows != previous(self.rows, -1)) | is_mark(self.points) | is_mark(previous(self.points, 0))

    def at(self, places, points=None) -> AlignedText:
        """The elements at places, ascending or repeated, with other code points."""
        import tensorflow as tf

        points = tf.gather(self.points, places) if points is None else points
        rows, begins, ends = (tf.gather(x, places) for x in (self.rows, self.begins, self.ends))
        return AlignedText(points, rows, begins, ends, self.count)

    def where(self, kept) -> AlignedText:
        """The elements that are kept."""
        import tensorflow as tf

        return self.at(tf.where(kept)[:, 0])

    def replaced(self, points) -> AlignedText:
        """Returns the text with other code points."""
        return self._replace(points=points)

    def with_tokens(self, tokens: Sequence[AddedToken]) -> AlignedText:
        """Returns the text with added tokens marked, each of which stands for all characters of its content."""
        import tensorflow as tf

        if not tokens:
            return self
        flat, kept = find_added_tokens(self.ragged, tokens)
        first = tf.where(kept)[:, 0]
        last = tf.concat([first, [tf.size(kept, tf.int64)]], 0)[1:] - 1
        return self.at(first, tf.gather(flat, first))._replace(ends=tf.gather(self.ends, last))

    def inserted(self, content: str, before) -> tuple[AlignedText, Any]:
        """Returns the text with content inserted before some elements; it stands for what they stand for.

        Args:
            content: to insert.
            before: where, booleans `(N,)`.

        Returns:
            The text, and which of its elements begin what was one element, booleans.
        """
        import tensorflow as tf

        size = len(content)
        sizes = 1 + size * tf.cast(before, tf.int64)
        places = tf.repeat(tf.range(tf.size(before, tf.int64)), sizes)
        within = tf.range(tf.size(places, tf.int64)) - tf.gather(tf.cumsum(sizes, exclusive=True), places)
        new = tf.gather(before, places) & (within < size)
        given = tf.gather(tf.constant([*map(ord, content)], tf.int32), tf.minimum(within, size - 1))
        return self.at(places, tf.where(new, given, tf.gather(self.points, places))), within == 0

    def substituted(self, choice, outputs: Sequence[Sequence[int]]) -> AlignedText:
        """Returns the text with characters replaced by others, which stand for what they stood for.

        Args:
            choice: what each becomes, a place in `outputs`, int32 `(N,)`.
            outputs: code points, or `ITSELF`.
        """
        return self.at(*self.outputs(choice, outputs))

    def outputs(self, choice, outputs: Sequence[Sequence[int]]) -> tuple[Any, Any]:
        """The elements that `substituted` makes: of which one of the text each is made, and its code point."""
        import tensorflow as tf

        lengths, flat = [len(output) for output in outputs], [point for output in outputs for point in output]
        begin = tf.constant(np.cumsum([0, *lengths])[:-1], tf.int32)
        made = tf.gather(tf.constant(lengths, tf.int32), choice)
        source = tf.repeat(tf.range(tf.size(choice)), made)
        place = tf.gather(tf.gather(begin, choice) - tf.cumsum(made, exclusive=True), source)
        points = tf.gather(tf.constant([*flat, ITSELF], tf.int32), place + tf.range(tf.size(source)))
        return source, tf.where(points == ITSELF, tf.gather(self.points, source), points)
