import keras
import numpy as np
import pytest
from helpers import compiled

from keras_tx.ops import checks


@pytest.mark.parametrize(
    ("check", "good", "bad", "message"),
    [
        (lambda x: checks.require_rank(x, 2, "x", "(batch, length)"), np.ones((3, 5)), np.ones(3), r"`x` must be \(b"),
        (lambda x: checks.require_width(x, 5, "x"), np.ones((3, 5)), np.ones((5, 3)), "last axis of `x` must be 5"),
        (
            lambda x: checks.require_shape(x, (3, None), "x"),
            np.ones((3, 5)),
            np.ones(3),
            r"shape \(3, None\); got \(3,",
        ),
        (
            lambda x: checks.require_shape(x, (3, 5), "x"),
            np.ones((3, 5)),
            np.ones((5, 3)),
            r"shape \(3, 5\); got \(5, 3",
        ),
        (lambda x: checks.require_integer(x, "x"), np.ones(3, "uint8"), np.ones(3), "`x` must be integers"),
        (lambda x: checks.require_integer(x, "x"), np.ones(3, "int64"), np.ones(3, bool), "`x` must be integers"),
        (lambda x: checks.require_below(x, 7, "x", "n"), np.array([0, 6]), np.array([0, 7]), r"\[0, n\) = \[0, 7\)"),
        (lambda x: checks.require_below(x, 7, "x", "n"), np.array([], "int32"), np.array([-1, 3]), "from -1 to 3"),
        (lambda x: checks.require_positive(x=x), 1, 0, "`x` must be a whole number of at least 1; got 0"),
        (lambda x: checks.require_positive(x=x), None, 2.0, "got 2.0"),
        (lambda x: checks.require_positive(x=x), np.int64(3), "3", "got '3'"),
        (lambda x: checks.require_divides(12, x, "d", "h"), 4, 5, "`d` must be a multiple of `h`; got d=12 and h=5"),
        (lambda x: checks.require_rate(x=x), 0.0, 1.0, r"`x` must be a rate in \[0, 1\); got 1.0"),
        (lambda x: checks.require_rate(x=x), 0.99, -0.1, "got -0.1"),
    ],
)
def test_check(check, good, bad, message):
    check(good)
    with pytest.raises(ValueError, match=message):
        check(bad)


def test_symbolic_values_are_unknown():
    assert checks.known_values(keras.KerasTensor((3,), "int32")) is None
    checks.require_width(keras.KerasTensor((3, None)), 5, "x")
    checks.require_below(keras.KerasTensor((3,), "int32"), 5, "x", "n")

    def traced(x):
        assert checks.known_values(x) is None
        checks.require_below(x, 5, "x", "n")
        return x

    np.testing.assert_array_equal(compiled(traced)(np.array([9])), [9])


def test_whole_numbers_are_integers():
    x = np.array([3.0, 2**24], "float32")
    np.testing.assert_array_equal(checks.as_integers(keras.ops.convert_to_tensor(x), "x"), [3, 2**24])
    np.testing.assert_array_equal(
        compiled(lambda x: checks.as_integers(x, "x"))(np.array([3.0, 3.5], "float32")), [3, -1]
    )
    for bad, message in ((np.array([3.5], "float32"), r"got 3\.5"), (np.ones(3, "float16"), "got dtype float16")):
        with pytest.raises(ValueError, match=f"`x` must be integers.*{message}"):
            checks.as_integers(keras.ops.convert_to_tensor(bad), "x")


def test_boolean():
    assert checks.is_boolean(np.ones(3, bool))
    assert not checks.is_boolean(np.ones(3, "int32"))
