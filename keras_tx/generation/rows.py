"""Caches, and all nested structures of arrays whose first axis is the batch, row by row.

Scalars in them belong to no row: in a cache they count the filled slots.
"""

from __future__ import annotations

import keras
from keras import ops

from keras_tx.layers.blocks.block import BlockCache
from keras_tx.ops.attention.linear import LinearState
from keras_tx.ops.attention.ring_cache import RingCache


def repeat_rows(structure, copies: int):
    """Each row `copies` times in succession."""
    return structure if copies == 1 else _of_rows(lambda x: ops.repeat(x, copies, axis=0), structure)


def take_rows(structure, rows):
    """The rows of these indices, `(N,)`, each of the same prompt as the one whose place it takes.

    Keys and values of the prompts themselves, which an encoder-decoder's blocks attend to, therefore stay where they
    are: they are most of what its cache holds.
    """

    def taken(x):
        if isinstance(x, BlockCache):
            return x._replace(attention=_of_rows(take, x.attention))
        return None if keras.tree.is_nested(x) else take(x) if len(x.shape) else x

    def take(x):
        return ops.take(x, rows, axis=0)

    return keras.tree.traverse(taken, structure)


def rewind(cache, index):
    """A cache with `index` slots filled; what the others hold is written over later.

    Raises:
        ValueError: for a cache that does not hold the past as it was: a window's, or a sum.
    """

    def require_slots(x):
        if isinstance(x, (RingCache, LinearState)):
            raise ValueError(
                f"tokens cannot be taken back from a {type(x).__name__}: neither an `assistant_model` nor contrastive "
                "search goes with a sliding window or linear attention."
            )

    keras.tree.traverse(require_slots, cache)
    return keras.tree.map_structure(lambda x: x if len(x.shape) else index, cache)


def _of_rows(function, structure):
    return keras.tree.map_structure(lambda x: function(x) if len(x.shape) else x, structure)
