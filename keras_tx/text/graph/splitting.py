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

LONG_S = "\u017f"
"""Equal to `s` where case does not count."""

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
    before = value_where(begins, BOUNDARY, previous(kind, BOUNDARY))
    after = value_where(ends, BOUNDARY, following(kind, BOUNDARY))
    starts = begins | (kind != before) | (kind == BOUNDARY)
    starts &= (kind < LETTER) | (before != SPACE) | (previous(flat, 0) != ord(" "))
    starts |= (kind == SPACE) & (after >= LETTER)

    inside, beyond = contractions(flat, ends, starts)
    return split_at(points, (starts & ~inside) | beyond)


def contractions(flat, ends, starts, any_case: bool = False):
    """Finds the contractions `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll` and `'d`.

    Args:
        flat: code points of texts one after another, int32 `(N,)`.
        ends: which of them end a text, booleans `(N,)`.
        starts: where words start, booleans `(N,)`: an apostrophe elsewhere is none of a contraction.
        any_case: whether large letters count, too, and the long s.

    Returns:
        Booleans `(N,)`: which are the first letters of contractions, and which come after contractions.
    """

    def is_letter(points, letters: str):
        return is_any(points, letters + letters.upper() + LONG_S * ("s" in letters) if any_case else letters)

    one = value_where(ends, -1, following(flat, -1))
    two = value_where(ends, -1, following(one, -1))
    apostrophe = starts & (flat == ord("'"))
    short = apostrophe & is_letter(one, "stmd")
    long = (is_letter(one, "rv") & is_letter(two, "e")) | (is_letter(one, "l") & is_letter(two, "l"))
    long &= apostrophe
    return previous(short | long, False), previous(previous(short | previous(long, False), False), False)


def bert_words(points):
    """BERT's rule, on normalized code points: punctuation marks are words; whitespace is dropped.

    Returns:
        Ragged `(B, None, None)`: the code points of each word of each text.
    """
    import tensorflow as tf

    starts, blank = bert_starts(points)
    return split_at(tf.ragged.boolean_mask(points, points.with_flat_values(~blank)), tf.boolean_mask(starts, ~blank))


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


def split_at(points, starts):
    """The words of texts, ragged `(B, None, None)`, from where they start in the flat code points, booleans `(N,)`."""
    import tensorflow as tf

    first = tf.where(starts)[:, 0]
    splits = tf.concat([first, tf.size(starts, tf.int64)[None]], 0)
    words = tf.RaggedTensor.from_row_splits(points.flat_values, splits, validate=False)
    counts = tf.math.unsorted_segment_sum(tf.cast(starts, "int64"), points.value_rowids(), points.nrows())
    return tf.RaggedTensor.from_row_lengths(words, counts, validate=False)


def _row_begins(points):
    rows = points.value_rowids()
    return rows != previous(rows, -1)


def value_where(condition, value, otherwise):
    """TensorFlow's `where` for a tensor and a number, either way round, which takes the tensor's dtype."""
    import tensorflow as tf

    if hasattr(value, "dtype"):
        return tf.where(condition, value, tf.constant(otherwise, value.dtype))
    return tf.where(condition, tf.constant(value, otherwise.dtype), otherwise)


def is_any(points, characters: str):
    """Which code points are any of some characters, booleans."""
    import tensorflow as tf

    return tf.reduce_any([points == ord(c) for c in characters], 0)
