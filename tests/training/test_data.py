"""Training batches by step number, and validation on every token once."""

import numpy as np
import pytest

from keras_tx.training import random_blocks, whole_stream

IDS = np.arange(100, 150)


def batches(count: int, **options):
    return [tuple(map(np.array, batch)) for batch in random_blocks(IDS, 7, 3, **options).take(count)]


def test_blocks_are_cut_from_the_stream():
    for inputs, targets in batches(50, seed=1):
        assert inputs.dtype == targets.dtype == np.int32
        assert inputs.shape == targets.shape == (3, 7)
        np.testing.assert_array_equal(targets, inputs + 1)
        np.testing.assert_array_equal(np.diff(inputs, axis=1), 1)
    starts = {row[0] for inputs, _ in batches(500, seed=1) for row in inputs}
    assert starts == set(range(100, 143))  # all there are, so the last token is a target too


def test_a_batch_depends_on_seed_and_step_alone():
    whole = batches(9, seed=4)
    np.testing.assert_equal(batches(9, seed=4), whole)
    np.testing.assert_equal(batches(4, seed=4, start=5), whole[5:])
    assert not np.array_equal(batches(9, seed=5), whole)
    assert len({inputs.tobytes() for inputs, _ in whole}) == 9


@pytest.mark.parametrize("length", [8, 9, 50, 64, 65, 66, 100])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_every_token_but_the_first_is_a_target_once(length, batch_size):
    ids = np.arange(1, length + 1)
    data = [tuple(map(np.array, batch)) for batch in whole_stream(ids, 7, batch_size)]
    assert {x.shape for batch in data for x in batch} == {(batch_size, 7)}
    inputs, targets, weights = (np.concatenate(x).ravel() for x in zip(*data, strict=True))
    counted = weights > 0
    np.testing.assert_array_equal(targets[counted], ids[1:])
    np.testing.assert_array_equal(inputs[counted], ids[:-1])
    assert np.unique(weights[counted]).size == 1
    # Keras divides by the number of positions: the weights make that the number of targets.
    assert weights.mean() == pytest.approx(1, rel=1e-6)


def test_a_stream_shorter_than_a_block_is_an_error():
    for make in (lambda: random_blocks(IDS[:7], 7, 3, seed=1), lambda: whole_stream(IDS[:7], 7, 3)):
        with pytest.raises(ValueError, match="7 tokens are too few for blocks of 7 and a target after them"):
            make()
    assert len(batches(1, seed=1)) == 1
    assert len(list(random_blocks(IDS[:8], 7, 3, seed=1).take(2))) == 2
