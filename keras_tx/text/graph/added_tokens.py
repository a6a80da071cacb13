"""Tokens that are found in a text before anything else is: special tokens, and others added to a vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_tx.text.graph.marks import token_mark
from keras_tx.text.graph.neighbours import previous
from keras_tx.text.graph.unicode import LETTER, SPACE, gpt2_kinds, word_kinds


@dataclass(frozen=True)
class AddedToken:
    """A text that is one token wherever it occurs.

    Where several could begin, the longest does; where two overlap, the first wins.
    """

    id: int
    """The id of the token."""

    content: str
    """The text."""

    special: bool = True
    """Whether `decode(ids, skip_special_tokens=True)` leaves it out."""

    lstrip: bool = False
    """Whether the whitespace before it is part of it."""

    rstrip: bool = False
    """Whether the whitespace after it is part of it."""

    normalized: bool = False
    """Whether it is found in the normalized text, after the tokens that are not."""

    single_word: bool = False
    """Whether it is none within a word: where a letter, number or underscore stands before it or after."""

    def __post_init__(self):
        if not self.content:
            raise ValueError(f"the added token {self.id} is empty.")


def mark_added_tokens(points, tokens: Sequence[AddedToken]):
    """Puts a mark in place of each added token.

    Args:
        points: code points of texts, ragged int32 `(B, None)`; negative numbers belong to no token.
        tokens: to look for.

    Returns:
        Ragged int32 `(B, None)`.
    """
    import tensorflow as tf

    marked, kept = find_added_tokens(points, tokens)
    return tf.ragged.boolean_mask(points.with_flat_values(marked), points.with_flat_values(kept))


def find_added_tokens(points, tokens: Sequence[AddedToken]):
    """Puts a mark where each added token begins, and says what of the texts remains beside the rest of it.

    Args:
        points: code points of texts, ragged int32 `(B, None)`; negative numbers belong to no token.
        tokens: to look for.

    Returns:
        The flat code points, int32 `(N,)`, and which of them remain, booleans `(N,)`.
    """
    import tensorflow as tf

    if not tokens:
        return points.flat_values, tf.ones_like(points.flat_values, tf.bool)
    tokens = sorted(tokens, key=lambda token: -len(token.content))
    begins, which = _matches(points, tokens)
    lengths = tf.constant([len(token.content) for token in tokens], "int64")
    ends = begins + tf.gather(lengths, which)
    kept = first_of_overlapping(tf.searchsorted(begins, ends))
    if any(token.single_word for token in tokens):
        kept &= _apart(points, begins, ends) | ~tf.gather([token.single_word for token in tokens], which)
    begins, ends, which = (tf.boolean_mask(x, kept) for x in (begins, ends, which))
    if any(token.lstrip or token.rstrip for token in tokens):
        begins, ends = _stripped(points, tokens, begins, ends, which)

    ids = tf.gather(tf.constant([token_mark(token.id) for token in tokens], "int32"), which)
    flat = tf.tensor_scatter_nd_update(points.flat_values, begins[:, None], ids)
    edges = tf.concat([begins + 1, ends], 0)[:, None]
    steps = tf.concat([tf.ones_like(begins, tf.int32), -tf.ones_like(ends, tf.int32)], 0)
    covered = tf.cumsum(tf.scatter_nd(edges, steps, tf.size(flat, tf.int64)[None] + 1))[:-1]
    return flat, covered == 0


def _matches(points, tokens: Sequence[AddedToken]):
    """Returns where tokens begin, ascending int64, and the index in `tokens` of the longest of them."""
    import tensorflow as tf

    flat, size = points.flat_values, len(tokens[0].content)
    contents = np.array([[*map(ord, t.content), *[-1] * (size - len(t.content))] for t in tokens], "int32")
    begins = tf.where(tf.reduce_any([flat == first for first in sorted(set(contents[:, 0]))], 0))[:, 0]
    places = begins[:, None] + tf.range(size, dtype="int64")
    ends = tf.gather(points.row_splits, tf.gather(points.value_rowids(), begins) + 1)
    windows = tf.where(
        places < ends[:, None],
        tf.gather(flat, tf.minimum(places, tf.size(flat, tf.int64) - 1)),
        -1,
    )
    found = tf.reduce_all((windows[:, None] == contents) | (contents < 0), -1)
    matched = tf.reduce_any(found, 1)
    longest = tf.argmax(tf.cast(found, "int8"), 1)
    return tf.boolean_mask(begins, matched), tf.boolean_mask(longest, matched)


def first_of_overlapping(followers):
    """Returns which matches stand, when each one that stands strikes out those before its follower.

    Args:
        followers: `(N,)`, of each match, the first that begins where it has ended; N if none does.
    """
    import tensorflow as tf

    count = tf.size(followers)
    jumps = tf.concat([followers, [count]], 0)  # the end is followed by itself
    standing = tf.range(count + 1) == 0

    def unfinished(standing, jumps):
        return jumps[0] < count

    def double(standing, jumps):  # jumps of 2^k matches become jumps of 2^(k+1)
        landed = tf.boolean_mask(jumps, standing)[:, None]
        standing = tf.tensor_scatter_nd_update(standing, landed, tf.ones_like(landed[:, 0], tf.bool))
        return standing, tf.gather(jumps, jumps)

    standing, _ = tf.while_loop(unfinished, double, (standing, jumps))
    return standing[:-1]


def _apart(points, begins, ends):
    """Returns which spans have no part of a word before them, and none after, booleans."""
    import tensorflow as tf

    flat, rows = points.flat_values, points.value_rowids()
    inner = tf.concat([[False], word_kinds()(flat) == LETTER, [False]], 0)
    edge = tf.concat([[True], rows[1:] != rows[:-1], [True]], 0)
    before = tf.gather(inner, begins) & ~tf.gather(edge, begins)
    return ~before & ~(tf.gather(inner, ends + 1) & ~tf.gather(edge, ends))


def _stripped(points, tokens: Sequence[AddedToken], begins, ends, which):
    """The spans with the whitespace they take, which belongs to the earlier of two."""
    import tensorflow as tf

    solid = tf.where(gpt2_kinds()(points.flat_values) != SPACE)[:, 0]
    solid = tf.concat([[-1], solid, [tf.size(points.flat_values, tf.int64)]], 0)
    rows = tf.gather(points.value_rowids(), begins)
    left = tf.gather(solid, tf.searchsorted(solid, begins) - 1) + 1
    right = tf.gather(solid, tf.searchsorted(solid, ends))
    right = tf.minimum(right, tf.gather(points.row_splits, rows + 1))
    ends = tf.where(tf.gather([token.rstrip for token in tokens], which), right, ends)
    left = tf.reduce_max([left, tf.gather(points.row_splits, rows), previous(ends, 0)], 0)
    return tf.where(tf.gather([token.lstrip for token in tokens], which), left, begins), ends
