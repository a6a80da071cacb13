"""Learning rates by their formulas."""

import keras
import pytest

from keras_tx.training import InverseSquareRoot


def test_the_papers_warm_up():
    """Its base model's: width 512, 4000 steps."""
    schedule = InverseSquareRoot(512, 4000)
    for step in (1, 17, 3999, 4000, 4001, 100_000):
        expected = 512**-0.5 * min(step**-0.5, step * 4000**-1.5)
        assert float(schedule(step - 1)) == pytest.approx(expected, rel=1e-5)
    assert float(InverseSquareRoot(512, 4000, scale=3.0)(6)) == pytest.approx(3 * float(schedule(6)), rel=1e-6)


def test_it_is_kept_with_an_optimizer():
    optimizer = keras.optimizers.Adam(InverseSquareRoot(101, 7, scale=2.0), beta_2=0.98, epsilon=1e-9)
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert float(copy.learning_rate) == pytest.approx(2 * 101**-0.5 * 7**-1.5, rel=1e-5)


@pytest.mark.parametrize("sizes", [{"d_model": 0}, {"d_model": 5, "warmup_steps": 0}])
def test_errors(sizes):
    with pytest.raises(ValueError, match="must be a whole number of at least 1"):
        InverseSquareRoot(**sizes)
