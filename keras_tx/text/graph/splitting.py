"""Texts to words, on the code points of a whole batch at once.

A batch is a ragged int32 tensor `(B, None)` of code points and of marks, at which words end. The rules look at each
code point's kind and at its neighbours', so they need no regular expression, whose classes would be TensorFlow's and
not the `tokenizers` library's.
"""

from __future__ import annotations

from keras_tx.text.graph.marks import is_token
from keras_tx.text.graph.neighbours import following, previous
from keras_tx.text.graph.unicode import (
    ALONE,
    BLANK,
    BOUNDARY,
    CHANGED,
    LETTER,
    SPACE,
    UNCASED,
    BertNormalization,
    bert_changes,
    bert_kinds,
    gpt2_kinds,
)

SELF = -1
"""Stands for the character itself in what a character becomes."""


def gpt2_words(points):
    r"""GPT-2's rule: `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.

    Words are runs of one kind, with a single blank before them if there is one; the rest of the whitespace before them
    is a word of its own. An apostrophe that begins a word takes the letters of a contraction with it.

    Returns:
        Ragged `(B, None, None)`: the code points of each word of each text. Nothing is left out.
    """
    flat, kind, begins = points.flat_values, gpt2_kinds()(points.flat_values), _row_begins(points)
    ends = following(begins, True)
    before = _where(begins, BOUNDARY, previous(kind, BOUNDARY))
    after = _where(ends, BOUNDARY, following(kind, BOUNDARY))
    starts = begins | (kind != before) | (kind == BOUNDARY)
    starts &= (kind < LETTER) | (before != SPACE) | (previous(flat, 0) != ord(" "))
    starts |= (kind == SPACE) & (after >= LETTER)

    one = _where(ends, -1, following(flat, -1))
    two = _where(ends, -1, following(one, -1))
    apostrophe = starts & (flat == ord("'"))
    short = apostrophe & _is_any(one, "stmd")
    long = apostrophe & ((_is_any(one, "rv") & (two == ord("e"))) | (_is_any(one, "l") & (two == ord("l"))))
    inside, beyond = previous(short | long, False), previous(previous(short | previous(long, False), False), False)
    return _words(points, (starts & ~inside) | beyond)


def bert_words(points):
    """BERT's rule, on normalized code points: punctuation marks are words; whitespace is dropped.

    Returns:
        Ragged `(B, None, None)`: the code points of each word of each text.
    """
    import tensorflow as tf

    starts, blank = bert_starts(points)
    return _words(tf.ragged.boolean_mask(points, points.with_flat_values(~blank)), tf.boolean_mask(starts, ~blank))


def bert_starts(points):
    """Returns where BERT's words and whitespace between them begin, and what is whitespace: booleans `(N,)` both."""
    kind = bert_kinds()(points.flat_values)
    starts = _row_begins(points) | (kind != previous(kind, BOUNDARY)) | (kind == ALONE) | (kind == BOUNDARY)
    return starts, kind == BLANK


def bert_normalize(points, normalization: BertNormalization = UNCASED):
    """BERT's normalization of code points: those that each one becomes, ragged `(B, None, None)`.

    But for one thing it is as the `tokenizers` library's: marks that are too new for its table of accents stay, and are
    not sorted where several follow one another.
    """
    import tensorflow as tf

    kinds, changes = bert_changes(normalization)
    rules = [(SELF,), (), (SELF,), (ord(" "), SELF, ord(" ")), *(to for _, to in sorted(changes.items()))]
    flat, kind = points.flat_values, kinds(points.flat_values)
    place = tf.searchsorted(tf.constant(sorted(changes), "int32"), flat)
    made = tf.gather(
        tf.ragged.constant(rules, dtype="int32"), tf.where(kind == CHANGED, CHANGED + place, tf.cast(kind, "int32"))
    )
    itself = tf.gather(flat, made.value_rowids())
    return points.with_flat_values(made.with_values(tf.where(made.values == SELF, itself, made.values)))


def with_leading_blanks(points, tokens: int):
    """A blank before each stretch of text that does not begin with one.

    Args:
        points: the batch; marked tokens bound stretches, and marked bytes do not.
        tokens: number of tokens in the vocabulary.
    """
    import tensorflow as tf

    flat = points.flat_values
    starts = _row_begins(points) | is_token(previous(flat, 0), tokens)
    bare = starts & (flat != ord(" ")) & ~is_token(flat, tokens)
    blanks = tf.RaggedTensor.from_row_lengths(
        tf.fill([tf.math.count_nonzero(bare)], ord(" ")), tf.cast(bare, "int64"), validate=False
    )
    return points.with_values(tf.concat([blanks, flat[:, None]], axis=1)).merge_dims(1, 2)


def _words(points, starts):
    import tensorflow as tf

    first = tf.where(starts)[:, 0]
    splits = tf.concat([first, tf.size(starts, tf.int64)[None]], 0)
    words = tf.RaggedTensor.from_row_splits(points.flat_values, splits, validate=False)
    counts = tf.math.unsorted_segment_sum(tf.cast(starts, "int64"), points.value_rowids(), points.nrows())
    return tf.RaggedTensor.from_row_lengths(words, counts, validate=False)


def _row_begins(points):
    rows = points.value_rowids()
    return rows != previous(rows, -1)


def _where(condition, value, otherwise):
    import tensorflow as tf

    if hasattr(value, "dtype"):
        return tf.where(condition, value, tf.constant(otherwise, value.dtype))
    return tf.where(condition, tf.constant(value, otherwise.dtype), otherwise)


def _is_any(points, characters: str):
    import tensorflow as tf

    return tf.reduce_any([points == ord(c) for c in characters], 0)
