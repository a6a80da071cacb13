"""Where characters join to one that a reader sees: extended grapheme clusters.

Source: Unicode Standard Annex 29, in the version that the `tokenizers` library has; but conjuncts of Indic scripts are
not joined.
"""

from __future__ import annotations

import struct
from functools import cache

from keras_tx.text.graph.neighbours import previous
from keras_tx.text.graph.unicode import ASSIGNED, BOUNDARY, Kinds, matching

CONTROL, EXTENDING, PREPENDED, PICTURE, LEADING, VOWEL, TRAILING, OPEN, CLOSED, PLAIN = range(1, 11)
"""Kinds of characters. Those of Hangul are three jamos, and syllables that lack the last one or have it."""

_JOINER = 0x200D
_MARK = "\u0301"


def joined(points, starts):
    """Which code points belong to the same cluster as the one before, booleans `(N,)`.

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
    """What the rules tell apart, but for characters of four bytes where it makes no difference to `Charsmap`."""
    syllables = range(0xAC00, 0xD7A4)
    members = {
        PICTURE: matching(r"\p{Extended_Pictographic}"),
        LEADING: map(chr, [*range(0x1100, 0x1160), *range(0xA960, 0xA97D)]),
        VOWEL: map(chr, [*range(0x1160, 0x11A8), *range(0xD7B0, 0xD7C7)]),
        TRAILING: map(chr, [*range(0x11A8, 0x1200), *range(0xD7CB, 0xD7FC)]),
        OPEN: map(chr, syllables[::28]),
        CLOSED: (chr(c) for c in syllables if (c - syllables[0]) % 28),
        PREPENDED: _alike(ASSIGNED, "{}a", "x"),
        CONTROL: ["\r", "\n", "\0", *_alike((c for c in ASSIGNED if c < "\U00010000"), "{}" + _MARK, "xx")],
        EXTENDING: _alike(ASSIGNED, "a{}", "x"),
    }
    return Kinds(members, PLAIN)


def _alike(characters, pattern: str, clusters: str) -> list[str]:
    """Those that make so many clusters: the library is asked, by rules that make an x of every small cluster."""
    from tokenizers import normalizers

    characters = [c for c in characters if c not in "\r\n\0"]
    text = "\n".join(pattern.format(c) for c in characters)
    made = normalizers.Precompiled(_every_byte()).normalize_str(text).split("\n")
    return [c for c, of in zip(characters, made, strict=True) if of == clusters]


def _every_byte() -> bytes:
    """Normalization rules by which whatever begins with any byte, but a line feed, becomes an x."""
    units = [0] * 1024
    units[0] = 0x100 << 10
    for byte in {*range(1, 256)} - {ord("\n")}:
        units[0x100 ^ byte] = 0x200 << 10 | 1 << 8 | byte
        units[0x300 ^ byte] = 1 << 31
    return struct.pack("<1025I", 4 * len(units), *units) + b"x\0"
