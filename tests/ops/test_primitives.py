import numpy as np
import pytest
from helpers import compiled, normal, numpy
from keras import ops

from keras_tx.ops.primitives import portable_graph, write


@pytest.mark.parametrize("count", [1, 3, 5])
@pytest.mark.parametrize(("shape", "axis"), [((2, 7), 1), ((2, 3, 7, 5), 2)])
def test_portable_write_equals_the_one_in_place(rng, shape, axis, count):
    x = normal(rng, *shape)
    update = normal(rng, *(count if i == axis else n for i, n in enumerate(shape)))
    for start in (0, 1, shape[axis] - count):
        expected = x.copy()
        np.moveaxis(expected, axis, 0)[start : start + count] = np.moveaxis(update, axis, 0)
        function = compiled(lambda x, update, start: write(x, update, start, axis))
        arguments = [ops.convert_to_tensor(x), ops.convert_to_tensor(update), ops.convert_to_tensor(start, "int32")]
        np.testing.assert_array_equal(numpy(function(*arguments)), expected)
        with portable_graph():
            np.testing.assert_array_equal(numpy(write(*arguments, axis)), expected)
