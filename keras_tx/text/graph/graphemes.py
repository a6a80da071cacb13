"""Extended grapheme clusters: which characters join to one that a reader sees.

Source: Unicode Standard Annex 29, of Unicode 17.0 as the `tokenizers` library has it; but conjuncts of Indic scripts
are not joined.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from keras_tx.text.graph import grapheme_ranges
from keras_tx.text.graph.neighbours import previous
from keras_tx.text.graph.unicode import BOUNDARY, Kinds, matching

CONTROL, EXTENDING, PREPENDED, PICTURE, LEADING, VOWEL, TRAILING, OPEN, CLOSED, PLAIN = range(1, 11)
"""Kinds of characters. Those of Hangul are three jamos, and syllables that lack the last one or have it."""

_JOINER = 0x200D


def joined(points, starts):
    """Returns which code points belong to the same cluster as the one before, booleans `(N,)`.

    Args:
        points: int32 `(N,)`; negative ones are clusters by themselves.
        starts: where texts begin, booleans `(N,)`.
    """
    import tensorflow as tf

    kind = grapheme_kinds()(points)
    before = previous(kind, BOUNDARY)

    def pairs(*kinds: tuple[int, int]):
        return tf.reduce_any([(before == one) & (kind == two) for one, two in kinds], 0)

    hangul = [(LEADING, of) for of in (LEADING, VOWEL, OPEN, CLOSED)]
    hangul += [(of, VOWEL) for of in (OPEN, VOWEL)] + [(of, TRAILING) for of in (OPEN, VOWEL, CLOSED, TRAILING)]
    solid = (before != CONTROL) & (before != BOUNDARY) & (kind != CONTROL) & (kind != BOUNDARY)
    together = solid & ((kind == EXTENDING) | (before == PREPENDED) | pairs(*hangul))
    together |= _after_joined_picture(points, kind, starts)
    together |= (previous(points, 0) == ord("\r")) & (points == ord("\n"))
    return together & ~starts


def _after_joined_picture(points, kind, starts):
    """Pictures after a picture, what extends it and a joiner."""
    import tensorflow as tf

    bases = starts | (kind != EXTENDING)
    base = tf.gather(tf.boolean_mask(kind, bases), tf.cumsum(tf.cast(bases, tf.int32)) - 1)
    return (kind == PICTURE) & (previous(points, 0) == _JOINER) & (previous(base, BOUNDARY) == PICTURE)


@cache
def grapheme_kinds() -> Kinds:
    """The kinds of characters that the rules tell apart."""
    syllables = range(0xAC00, 0xD7A4)
    members = {
        PICTURE: matching(r"\p{Extended_Pictographic}"),
        LEADING: map(chr, [*range(0x1100, 0x1160), *range(0xA960, 0xA97D)]),
        VOWEL: map(chr, [*range(0x1160, 0x11A8), *range(0xD7B0, 0xD7C7)]),
        TRAILING: map(chr, [*range(0x11A8, 0x1200), *range(0xD7CB, 0xD7FC)]),
        OPEN: map(chr, syllables[::28]),
        CLOSED: (chr(c) for c in syllables if (c - syllables[0]) % 28),
        PREPENDED: _characters(grapheme_ranges.PREPEND),
        CONTROL: _characters(grapheme_ranges.CONTROL),
        EXTENDING: _characters(grapheme_ranges.EXTEND),
    }
    return Kinds(members, PLAIN)


def _characters(ranges: str) -> Iterator[str]:
    """The characters of hexadecimal ranges, `first-last` or one code point alone."""
    for written in ranges.split():
        first, _, last = written.partition("-")
        yield from map(chr, range(int(first, 16), int(last or first, 16) + 1))
