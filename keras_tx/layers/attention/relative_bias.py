"""T5's position bias: for each head, a number for each bucket of offsets between two positions."""

from __future__ import annotations

import keras
from keras import ops

from keras_tx.layers.core.base import Layer, register
from keras_tx.ops.attention.positions import relative_position_buckets
from keras_tx.ops.checks import require_integer, require_positive


@register
class BucketedPositionBias(Layer):
    """A table with a row for each bucket of offsets (Raffel et al. 2020, section 2.1).

    Its output is the `bias` of attention, and may be that of every layer of a stack.

    Args:
        num_heads: heads that it is for.
        num_buckets: of both directions together, if there are two.
        max_distance: the least distance of the last bucket.
        bidirectional: whether keys after the query have buckets of their own.
        initializer: of the table.
        num_rows: rows of the table, if there are more than buckets: the others are not used.

    Raises:
        ValueError: for sizes less than 1, too few buckets, or fewer rows than buckets.
    """

    def __init__(
        self,
        num_heads: int,
        num_buckets: int = 32,
        max_distance: int = 128,
        *,
        bidirectional: bool = True,
        initializer="zeros",
        num_rows: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if num_rows is not None and num_rows < num_buckets:
            raise ValueError(f"`num_rows` must be at least `num_buckets` = {num_buckets}; got {num_rows}.")
        require_positive(num_heads=num_heads, num_buckets=num_buckets, max_distance=max_distance)
        self.num_heads = num_heads
        self.num_buckets = num_buckets
        self.max_distance = max_distance
        self.bidirectional = bidirectional
        self.initializer = keras.initializers.get(initializer)
        self.num_rows = num_rows
        self._buckets(ops.zeros((1,), "int32"))  # too few are an error now, not at the first call

    def build(self, input_shape=None):
        self.table = self.add_weight(
            shape=(self.num_rows or self.num_buckets, self.num_heads), initializer=self.initializer, name="table"
        )

    def call(self, query_positions, key_positions):
        """The bias of each query and key.

        Args:
            query_positions: integers `(T,)` or `(B, T)`.
            key_positions: integers `(S,)` or `(B, S)`.

        Returns:
            `(1, num_heads, T, S)` or `(B, num_heads, T, S)`.
        """
        require_integer(query_positions, "query_positions")
        require_integer(key_positions, "key_positions")
        query, key = (ops.cast(positions, "int32") for positions in (query_positions, key_positions))
        buckets = self._buckets(ops.expand_dims(key, -2) - ops.expand_dims(query, -1))
        by_head = ops.transpose(ops.cast(self.table, self.compute_dtype))
        bias = ops.moveaxis(ops.take(by_head, buckets, axis=1), 0, -3)
        return bias if len(bias.shape) == 4 else ops.expand_dims(bias, 0)

    def _buckets(self, offsets):
        return relative_position_buckets(offsets, self.num_buckets, self.max_distance, bidirectional=self.bidirectional)

    def compute_output_shape(self, query_positions_shape, key_positions_shape):
        batch = [shape[0] for shape in (query_positions_shape, key_positions_shape) if len(shape) == 2]
        return (batch[0] if batch else 1, self.num_heads, query_positions_shape[-1], key_positions_shape[-1])
