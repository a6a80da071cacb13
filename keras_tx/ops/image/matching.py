"""The assignment problem, solved exactly inside a compiled graph, for a whole batch at once.

Shape letters:
    B batch, M rows, N columns.
"""

from __future__ import annotations

from keras import ops

from keras_tx.ops.checks import require_rank
from keras_tx.ops.primitives import argmax

INFINITY = float("inf")


def linear_sum_assignment(cost):
    """Gives each row a column of its own so that the costs sum to the least (Kuhn 1955).

    Row after row, a shortest augmenting path is sought among the columns (Jonker & Volgenant 1987, in the form of
    Crouse 2016): exact, in O(M^2 N), and the rows of a batch go side by side. It has no gradient.

    Args:
        cost: `(B, M, N)`, where M <= N. An entry that is not finite is taken only where there is no way without one.

    Returns:
        int32 `(B, M)`: each row's column. Among several solutions any one.

    Raises:
        ValueError: for another rank, or more rows than columns.
    """
    require_rank(cost, 3, "cost", "(batch, rows, columns)")
    rows, columns = cost.shape[1:]
    if None not in (rows, columns) and rows > columns:
        raise ValueError(f"`cost` must not have more rows than columns; got shape {tuple(cost.shape)}: transpose it.")
    rows = ops.shape(cost)[1]
    cost = _finite(ops.stop_gradient(ops.cast(cost, "float32")), rows)
    prices = ops.zeros_like(cost[:, 0])
    owners = ops.full_like(prices, -1, dtype="int32")

    def assign(row, state):
        prices, owners = state
        end, length, distances, before, closed = _shortest_path(cost, row, prices, owners)
        prices = ops.where(closed, prices + distances - ops.expand_dims(length, 1), prices)
        return prices, _flip(owners, row, end, before)

    _, owners = ops.fori_loop(0, rows, assign, (prices, owners))
    owned = ops.equal(ops.expand_dims(owners, 1), ops.expand_dims(ops.arange(rows, dtype="int32"), 1))
    return argmax(ops.cast(owned, "int32"))


def _finite(cost, rows):
    """Returns the costs, with more than all finite ones together in place of what is not finite."""
    finite = ops.isfinite(cost)
    cost = ops.where(finite, cost, 0.0)
    highest = ops.max(ops.abs(cost), axis=(1, 2), keepdims=True)
    return ops.where(finite, cost, 2 * ops.cast(rows, "float32") * highest + 1)


def _shortest_path(cost, row, prices, owners) -> tuple:
    """Returns the cheapest way from a row to a free column, over columns whose owners are moved on to others.

    Args:
        cost: `(B, M, N)`.
        row: the number of the row, a scalar.
        prices: `(B, N)`, by which costs are reduced so that no way over owned columns gains anything.
        owners: `(B, N)`, the row that each column is given to; -1 for free ones.

    Returns:
        The column at the end, `(B,)`; the length of the way, `(B,)`; the distance of each column, `(B, N)`; the column
        before it on the way there, -1 for the row itself; and whether it has been reached for good.
    """
    numbers = ops.arange(ops.shape(cost)[2], dtype="int32")

    def next_row(column):
        """Returns the row at which the way goes on, `(B,)`; -1 where it has ended."""
        return ops.where(column < 0, row, _at(owners, column))

    def unfinished(column, *_):
        return ops.any(next_row(column) >= 0)

    def step(column, length, distances, before, closed):
        reached = next_row(column)
        active = reached >= 0
        costs = _at(cost, reached) - prices
        own = ops.where(column < 0, 0.0, _at(costs, column))
        through = costs + ops.expand_dims(length - own, 1)
        open_ = ops.logical_and(ops.expand_dims(active, 1), ops.logical_not(closed))
        shorter = ops.logical_and(open_, through < distances)
        distances = ops.where(shorter, through, distances)
        before = ops.where(shorter, ops.expand_dims(column, 1), before)
        ahead = ops.where(open_, distances, INFINITY)
        nearest = argmax(-ahead)
        closed = ops.logical_or(closed, ops.logical_and(open_, ops.equal(numbers, ops.expand_dims(nearest, 1))))
        column = ops.where(active, nearest, column)
        return column, ops.where(active, ops.min(ahead, axis=1), length), distances, before, closed

    nowhere = ops.full_like(owners, -1)
    start = (
        nowhere[:, 0],
        ops.zeros_like(prices[:, 0]),
        ops.full_like(prices, INFINITY),
        nowhere,
        ops.zeros_like(owners, dtype="bool"),
    )
    return ops.while_loop(unfinished, step, start)


def _flip(owners, row, end, before):
    """Returns the owners after each column of the way, from its end, has gone to the owner of the column before it."""
    numbers = ops.arange(ops.shape(owners)[1], dtype="int32")

    def step(column, owners):
        previous = _at(before, column)
        heir = ops.where(previous < 0, row, _at(owners, previous))
        here = ops.equal(numbers, ops.expand_dims(column, 1))  # nowhere, past the beginning of the way
        return ops.where(column < 0, column, previous), ops.where(here, ops.expand_dims(heir, 1), owners)

    return ops.while_loop(lambda column, owners: ops.any(column >= 0), step, (end, owners))[1]


def _at(x, index):
    """`x[b, index[b]]` of `(B, N, ...)`; of the first where the index is negative."""
    index = ops.reshape(ops.maximum(index, 0), (-1, *(1 for _ in x.shape[1:])))
    return ops.squeeze(ops.take_along_axis(x, index, axis=1), axis=1)
