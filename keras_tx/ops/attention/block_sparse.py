"""The blocks of keys that each block of queries sees in block-sparse attention (Zaheer et al. 2020: BigBird).

A pattern is a table of block numbers, made the same way on all backends and for any length: the random blocks come from
a hash of the seed and the block's own number.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from keras import ops

from keras_tx.ops.primitives import ceil_div


class BlockPattern(NamedTuple):
    """Blocks of `size` positions; each sees three kinds of blocks.

    Attributes:
        size: positions of a block.
        window: how many blocks it sees to each side, besides its own; only back if causal.
        random: blocks anywhere else, drawn without replacement; in causal attention, among those before.
        first: blocks at the start, which all see, and which see all unless it is causal.
        causal: whether a position sees only itself and those before it.
        seed: of the random blocks.
    """

    size: int
    window: int
    random: int
    first: int
    causal: bool
    seed: int

    def table(self, count):
        """Returns the numbers of the blocks that each of `count` blocks sees, int32 `(count, M)`; -1 for none.

        Those of the first blocks, which see all, are to be ignored unless it is causal.
        """
        own = ops.arange(count, dtype="int32")[:, None]
        last = 0 if self.causal else self.window
        near = own + np.arange(-self.window, last + 1, dtype="int32")
        near = ops.where(ops.logical_and(near >= self.first, near < count), near, -1)
        # The first blocks come first; where fewer are there, or ahead, their places are empty.
        first = ops.zeros_like(own) + np.arange(self.first, dtype="int32")
        first = ops.where(first < count, first, -1)
        first = ops.where(first <= own, first, -1) if self.causal else first
        return ops.concatenate([first, near, self._drawn(own, count)], axis=1)

    def _drawn(self, own, count):
        """Random blocks among the others, `(count, random)`: Floyd's sampling of distinct numbers."""
        below = ops.maximum(own - self.window - self.first, 0)  # candidates before the window
        after = ops.maximum(own + self.window + 1, self.first)  # the first candidate behind it
        above = ops.zeros_like(own) if self.causal else ops.maximum(count - after, 0)
        chosen = ops.zeros_like(own[:, :0])
        for i in range(self.random):
            largest = below + above - self.random + i  # of the numbers drawn from now
            draw = _hash(own, i, self.seed) % ops.maximum(largest + 1, 1)
            taken = ops.any(chosen == draw, axis=1, keepdims=True)
            number = ops.where(largest < 0, -1, ops.where(taken, largest, draw))
            chosen = ops.concatenate([chosen, number], axis=1)
        blocks = ops.where(chosen < below, self.first + chosen, after + chosen - below)
        return ops.where(chosen < 0, -1, blocks)

    def allowed(self, query_positions, key_positions, length):
        """The mask by definition: which of `(S,)` keys each of `(T,)` queries may look at, of `length` positions."""
        count = ceil_div(length, self.size)
        query, key = query_positions // self.size, key_positions // self.size
        seen = ops.take(self.table(count), query, axis=0)  # (T, M)
        seen = ops.any(seen[:, :, None] == key, axis=1)
        if self.causal:
            return ops.logical_and(seen, key_positions <= query_positions[:, None])
        return ops.logical_or(seen, query[:, None] < self.first)


def _hash(numbers, stream: int, seed: int):
    """Numbers in [0, 2**31) without a pattern, from int32 numbers: the finalizer of MurmurHash3 (Appleby 2011)."""
    start = (seed * 0x9E3779B1 + stream * 0x85EBCA77 + 0x165667B1) & 0xFFFFFFFF
    x = numbers * _signed(0x27D4EB2F) + _signed(start)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        high = ops.bitwise_and(ops.right_shift(x, shift), (1 << (32 - shift)) - 1)  # int32 shifts in its sign
        x = ops.bitwise_xor(x, high) * _signed(factor)
    return ops.bitwise_and(x, 0x7FFFFFFF)


def _signed(number: int) -> int:
    return number - 2**32 if number >= 2**31 else number
