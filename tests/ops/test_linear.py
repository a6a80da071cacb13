import numpy as np
from helpers import compiled, gradients, normal, numpy
from keras import ops

from keras_tx.ops.linear import is_row, row_product


def test_row_product_is_matmul(rng):
    x, kernel = normal(rng, 1, 1, 24), normal(rng, 24, 7)
    assert is_row(x)
    np.testing.assert_allclose(numpy(compiled(row_product)(x, kernel)), x @ kernel, rtol=1e-5, atol=1e-5)
    dx, dkernel = gradients(lambda x, kernel: ops.sum(row_product(x, kernel) ** 2), x, kernel)
    y = (x @ kernel)[0]
    np.testing.assert_allclose(dx[0], 2 * y @ kernel.T, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(dkernel, 2 * x[0].T @ y, rtol=1e-4, atol=1e-4)


def test_rows_it_is_for():
    assert not is_row(np.zeros((1, 2, 24)))
    assert not is_row(np.zeros((3, 1, 24)))
    assert not is_row(np.zeros((1, 1, 23)))
