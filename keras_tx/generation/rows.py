"""Caches, and all nested structures of arrays whose first axis is the batch, row by row.

Scalars in them belong to no row.
"""

from __future__ import annotations

from keras import ops

from keras_tx.ops.attention.cache import map_caches


def repeat_rows(structure, copies: int):
    """Repeats each row `copies` times in succession."""
    if copies == 1:
        return structure
    return map_caches(
        lambda cache: cache.repeat_rows(copies),
        lambda x: ops.repeat(x, copies, axis=0) if len(x.shape) else x,
        structure,
    )


def take_rows(structure, rows):
    """The rows of these indices, `(N,)`, each of the same prompt as the one whose place it takes."""
    return map_caches(
        lambda cache: cache.take_rows(rows), lambda x: ops.take(x, rows, axis=0) if len(x.shape) else x, structure
    )


def ending_at(structure, end):
    """The structure whose caches take in positions before `end` alone."""
    return map_caches(lambda cache: cache.until(end), lambda x: x, structure)


def filled(structure, index):
    """The structure in whose caches `index` positions count, where no others but masked ones have been appended."""
    return map_caches(lambda cache: cache.filled(index), lambda x: x, structure)


def rewind(structure, index):
    """The structure with `index` positions filled in each of its caches.

    Raises:
        ValueError: for a cache that does not hold the past as it was: a window's, or a sum.
    """
    return map_caches(lambda cache: cache.rewind(index), lambda x: x, structure)
