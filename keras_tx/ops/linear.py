"""The product of a single row and a matrix, which is what decoding one sequence is made of."""

from __future__ import annotations

from keras import ops

from keras_tx.ops.devices import on_cpu

PARTS = 8


def is_row(x) -> bool:
    """Whether `x`, `(..., I)`, is known to be a single row that `row_product` multiplies faster than `matmul`."""
    *rows, width = x.shape
    return on_cpu() and all(n == 1 for n in rows) and width % PARTS == 0


def row_product(x, kernel):
    """A row `(..., I)` times a matrix `(I, O)`: `(..., O)`.

    XLA on CPUs gives a vector times a matrix to one thread, too few to read the matrix at the memory's speed. Cut along
    I into a batch of products, to be summed, it goes to all threads. The cut itself moves nothing.
    """
    width, outputs = kernel.shape
    parts = ops.matmul(
        ops.reshape(x, (PARTS, 1, width // PARTS)), ops.reshape(kernel, (PARTS, width // PARTS, outputs))
    )
    return ops.reshape(ops.sum(parts, axis=0), (*x.shape[:-1], outputs))
