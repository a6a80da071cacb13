"""Block-sparse attention: a window, random blocks and blocks that all see."""

from __future__ import annotations

from typing import Any, ClassVar

from keras import ops

from keras_tx.layers.attention.variant import AttentionVariant, of_keys, require_keys
from keras_tx.layers.core.base import register
from keras_tx.ops.attention import masks
from keras_tx.ops.attention.block_sparse import BlockPattern
from keras_tx.ops.attention.blocks import attend_blocks, from_blocks, to_blocks
from keras_tx.ops.attention.softmax import attention
from keras_tx.ops.checks import require_positive
from keras_tx.ops.primitives import ceil_div


@register
class BlockSparseAttention(AttentionVariant):
    """Multi-head attention of blocks of positions to near, random and global blocks (Zaheer et al. 2020: BigBird).

    Time and memory are O(length * block_size). An attention map, and a mask or bias with a row for each query, are as
    large as all pairs of positions; all pairs are then computed. So they are in causal decoding, whose cache holds
    every position: a step costs as much as that of `MultiHeadAttention`.

    Blocks are counted from the start of a row, padding included, so that padding on the left changes them.

    The random blocks depend on the seed and the number of blocks alone; causal, on the seed alone.

    Args:
        dim: width in and out.
        num_heads: query heads.
        num_kv_heads: key/value heads; as many as `num_heads` unless given.
        block_size: positions of a block.
        window_blocks: how many blocks a block sees to each side of its own; causal, back alone.
        random_blocks: how many more it sees, drawn from the others; causal, from those before it.
        global_blocks: how many at the start are seen by all, and see all unless `causal`.
        seed: of the random blocks.
        options: `causal`, `head_dim`, `rope_theta`, `scale`, `dropout`, `use_bias`, `qkv_bias`, `qk_norm`,
            `norm_epsilon` and the initializers, as `MultiHeadAttention` takes them.

    Raises:
        ValueError: as `MultiHeadAttention` does; for a block size less than 1, and negative numbers of blocks.
    """

    by_distance: ClassVar[bool] = True
    by_length: ClassVar[bool] = True

    def __init__(
        self,
        dim: int,
        num_heads: int,
        num_kv_heads: int | None = None,
        *,
        block_size: int = 64,
        window_blocks: int = 1,
        random_blocks: int = 3,
        global_blocks: int = 1,
        seed: int = 0,
        **options: Any,
    ):
        super().__init__(dim, num_heads, num_kv_heads, **options)
        require_positive(block_size=block_size)
        counts = {"window_blocks": window_blocks, "random_blocks": random_blocks, "global_blocks": global_blocks}
        for name, count in counts.items():
            if count < 0:
                raise ValueError(f"`{name}` must be at least 0; got {count}.")
        self.block_size = block_size
        self.window_blocks = window_blocks
        self.random_blocks = random_blocks
        self.global_blocks = global_blocks
        self.seed = seed

    @property
    def _pattern(self) -> BlockPattern:
        blocks = self.window_blocks, self.random_blocks, self.global_blocks
        return BlockPattern(self.block_size, *blocks, self.causal, self.seed)

    def visible(self, query_positions, key_positions):
        return self._pattern.allowed(query_positions, key_positions, ops.shape(key_positions)[0])

    def _attend(self, query, key, value, mask, bias, cache, *, return_attention, training):
        self._require_causal(cache)
        if cache is None and bias is None and not return_attention and of_keys(mask):
            return self._attend_blocks(query, key, value, mask, self._softmax_options(training)), None
        keys = self._meet((key, value), mask, cache, queries=ops.shape(query)[2], explicit=True)
        return self._softmax(query, keys, bias=bias, return_attention=return_attention, training=training), keys.cache

    def _attend_blocks(self, query, key, value, mask, options: dict):
        """Attends to all positions at once, `mask` being `(B, 1, 1, T)` or None."""
        size = self.block_size
        batch, _, length, _ = ops.shape(query)
        if mask is not None:
            require_keys(mask, key)
        real = ops.ones((1, length), "bool") if mask is None else mask[:, 0, 0]
        real = ops.broadcast_to(real, (batch, length))
        table = self._pattern.table(ceil_div(length, size))

        def gathered(blocks):
            """The blocks that each block sees, side by side: `(B, N, X, C, D)` to `(B, N, X, M * C, D)`."""
            found = ops.swapaxes(ops.take(blocks, ops.maximum(table, 0), axis=1), 2, 3)  # (B, N, X, M, C, D)
            return ops.reshape(found, (*ops.shape(found)[:3], table.shape[1] * size, found.shape[-1]))

        keys, values, seen = (gathered(to_blocks(x, size)) for x in (key, value, real[:, None, :, None]))
        there = ops.repeat(table >= 0, size, axis=1)[:, None, None]  # (N, 1, 1, L)
        allowed = ops.logical_and(ops.swapaxes(seen, 3, 4), there)
        if self.causal:
            within = ops.arange(size, dtype="int32")
            positions = ops.arange(ceil_div(length, size), dtype="int32")[:, None] * size + within
            others = ops.reshape(table[:, :, None] * size + within, (-1, table.shape[1] * size))
            allowed = ops.logical_and(allowed, masks.causal(positions, others)[:, None])
        output = from_blocks(attend_blocks(to_blocks(query, size), keys, values, allowed, **options), length)
        count = self.global_blocks * size
        if self.causal or not count:
            return output
        everywhere = attention(query[:, :, :count], key, value, mask=mask, **options)
        return ops.concatenate([everywhere, output[:, :, count:]], axis=2)
