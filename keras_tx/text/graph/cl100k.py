"""The words of OpenAI's cl100k_base and of Llama 3, on the code points of a whole batch at once."""

from __future__ import annotations

from keras_tx.text.graph.neighbours import following, previous
from keras_tx.text.graph.splitting import contractions, is_any, split_at, value_where
from keras_tx.text.graph.unicode import BOUNDARY, LETTER, NUMBER, OTHER, SPACE, gpt2_kinds

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
"""The rule as a regular expression."""


def cl100k_words(points):
    """Splits texts as `PATTERN` does.

    Words are runs of one kind: letters with the one character before them, be it a blank or a mark; numbers by threes;
    marks with a blank before them and line ends after them. Whitespace that is left is a word up to its last line end,
    and another after that.

    Args:
        points: ragged int32 `(B, None)`; marks bound words, as of `gpt2_words`.

    Returns:
        Ragged `(B, None, None)`: the code points of each word of each text. Nothing is left out.
    """
    import tensorflow as tf

    flat, kind = points.flat_values, gpt2_kinds()(points.flat_values)
    rows = points.value_rowids()
    begins, ends = rows != previous(rows, -1), rows != following(rows, -1)
    before = value_where(begins, BOUNDARY, previous(kind, BOUNDARY))
    after = value_where(ends, BOUNDARY, following(kind, BOUNDARY))
    begin = begins | (kind != before) | (kind == BOUNDARY)  # of a run of one kind
    place, run = tf.range(tf.size(flat)), tf.cumsum(tf.cast(begin, tf.int32)) - 1
    first = tf.gather(tf.boolean_mask(place, begin), run)
    space, line_end = kind == SPACE, (kind == SPACE) & is_any(flat, "\r\n")

    plain = tf.cumsum(tf.cast(~line_end, tf.int32))  # line ends right after marks belong to these
    closing = line_end & (plain == tf.gather(plain - tf.cast(~line_end, tf.int32), first))
    closing &= tf.gather(before, first) == OTHER
    last_line_end = tf.gather(tf.math.segment_max(tf.where(line_end, place, -1), run), run)
    whitespace = space & ~closing & (begin | previous(closing, False) | (place - 1 == last_line_end))
    whitespace |= space & ~line_end & (after >= LETTER)  # the last one goes with what follows, or by itself

    after_blank = (before == SPACE) & (previous(flat, 0) == ord(" "))
    alone = (kind == OTHER) & begin & (after != OTHER) & ~after_blank
    joined = ((before == SPACE) & ~previous(line_end, False)) | ((before == OTHER) & previous(alone, False))
    starts = whitespace | (begin & (kind == BOUNDARY)) | ((kind == NUMBER) & ((place - first) % 3 == 0))
    starts |= begin & (((kind == OTHER) & ~after_blank) | ((kind == LETTER) & ~joined))
    _, beyond = contractions(flat, ends, alone, any_case=True)
    return split_at(points, starts | beyond)
