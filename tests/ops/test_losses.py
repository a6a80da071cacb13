import math

import keras
import numpy as np
import pytest
from helpers import compiled, gradients, normal, numpy, softmax
from keras import ops

from keras_tx.ops.losses import (
    binary_cross_entropy,
    next_token_loss,
    span_loss,
    squared_error,
    token_cross_entropy,
)


def definition(logits: np.ndarray, labels: np.ndarray) -> float:
    """Minus the mean log probability of the labels that are not -100."""
    probabilities, counts = softmax(logits.astype("float64")), labels != -100
    chosen = np.take_along_axis(probabilities, np.where(counts, labels, 0)[..., None], axis=-1)[..., 0]
    return float(-np.log(chosen[counts]).mean())


def test_equals_definition(rng):
    logits, labels = 3 * normal(rng, 3, 5, 7), rng.integers(0, 7, (3, 5))
    assert float(token_cross_entropy(logits, labels)) == pytest.approx(definition(logits, labels), abs=1e-6)
    labels[0, 2:] = labels[2, 0] = -100
    assert float(token_cross_entropy(logits, labels)) == pytest.approx(definition(logits, labels), abs=1e-6)
    assert float(token_cross_entropy(logits[:, 0], labels[:, 0])) == pytest.approx(
        definition(logits[:, 0], labels[:, 0]), abs=1e-6
    )


def test_next_token_shifts(rng):
    logits, labels = 3 * normal(rng, 3, 5, 7), rng.integers(0, 7, (3, 5))
    labels[1, 3] = -100
    expected = definition(logits[:, :4], labels[:, 1:])
    assert float(next_token_loss(logits, labels)) == pytest.approx(expected, abs=1e-6)


def test_next_token_of_several_texts_a_row(rng):
    logits, labels = 3 * normal(rng, 3, 2, 5, 7), rng.integers(0, 7, (3, 2, 5))
    expected = definition(logits[:, :, :4], labels[:, :, 1:])
    assert float(next_token_loss(logits, labels)) == pytest.approx(expected, abs=1e-6)


def test_span(rng):
    """Positions past the end do not count, those below 0 are 0, and the two ends have equal weight."""
    starts, ends = 3 * normal(rng, 3, 5), 3 * normal(rng, 3, 5)
    first, last = np.array([2, 0, 4]), np.array([3, 5, 11])
    expected = (definition(starts, first) + definition(ends[:1], last[:1])) / 2
    assert float(span_loss(starts, ends, first, last)) == pytest.approx(expected, abs=1e-6)
    assert float(span_loss(starts, ends, first - np.array([0, 100, 0]), last)) == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ValueError, match="`end_positions` must have shape"):
        span_loss(starts, ends, first, last[:2])


def test_squared_error(rng):
    x, y = normal(rng, 3, 5), normal(rng, 3, 5)
    assert float(squared_error(x, y)) == pytest.approx(((x - y) ** 2).mean(), abs=1e-6)
    assert float(squared_error(x[:, :1], y[:, 0])) == pytest.approx(((x - y)[:, 0] ** 2).mean(), abs=1e-6)
    assert float(squared_error(x[:, :1], np.array([1, 2, 3]))) == pytest.approx(
        ((x[:, 0] - [1, 2, 3]) ** 2).mean(), abs=1e-6
    )


def test_binary_cross_entropy(rng):
    x, y = 3 * normal(rng, 3, 5), rng.integers(0, 2, (3, 5))
    expected = np.where(y, np.log1p(np.exp(-x)), np.log1p(np.exp(x))).mean()
    assert float(binary_cross_entropy(x, y)) == pytest.approx(expected, abs=1e-6)


def test_ignored_labels_get_no_gradient_and_none_at_all_is_zero(rng):
    logits, labels = normal(rng, 3, 5, 7), rng.integers(0, 7, (3, 5))
    labels[:, 2] = -100
    (gradient,) = gradients(lambda x: token_cross_entropy(x, labels), logits)
    assert not gradient[:, 2].any() and gradient[:, :2].all()
    nothing = np.full((3, 5), -100)
    assert float(token_cross_entropy(logits, nothing)) == 0.0
    (gradient,) = gradients(lambda x: token_cross_entropy(x, nothing), logits)
    assert not gradient.any()


def test_softmax_in_float32(rng):
    logits, labels = ops.cast(20 * normal(rng, 3, 7), "bfloat16"), np.array([1, 2, 6])
    loss = token_cross_entropy(logits, labels)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    exact = definition(numpy(ops.cast(logits, "float32")), labels)
    assert float(loss) == pytest.approx(exact, abs=1e-5)


def test_errors(rng):
    with pytest.raises(ValueError, match="`labels` must be whole numbers"):
        token_cross_entropy(normal(rng, 3, 7), np.full(3, 0.5, "float32"))
    with pytest.raises(ValueError, match="`labels` must have shape"):
        token_cross_entropy(normal(rng, 3, 7), np.ones((3, 2), "int32"))
    with pytest.raises(ValueError, match="`labels` must have shape"):
        token_cross_entropy(normal(rng, 3, 5, 7), np.ones((3, 4), "int32"))
    with pytest.raises(ValueError, match="`mc_labels` must be whole numbers"):
        token_cross_entropy(normal(rng, 3, 7), np.full(3, 0.5, "float32"), "mc_labels")
    for loss in (squared_error, binary_cross_entropy):
        with pytest.raises(ValueError, match="`labels` must have shape"):
            loss(normal(rng, 3, 7), np.ones(3, "float32"))


@pytest.mark.parametrize("wrong", [7, 100, -1, -99])
def test_labels_of_no_class(rng, wrong):
    logits, labels = normal(rng, 3, 5, 7), rng.integers(0, 7, (3, 5))
    labels[0, 3], labels[1, 2] = -100, wrong
    with pytest.raises(ValueError, match=rf"`labels` must lie in \[0, classes\) = \[0, 7\); got .*{wrong}"):
        token_cross_entropy(logits, labels)
    assert math.isnan(float(compiled(token_cross_entropy)(logits, labels)))
    labels[1, 2] = 3
    assert float(compiled(token_cross_entropy)(logits, labels)) == pytest.approx(definition(logits, labels), abs=1e-6)


def test_classes_in_columns_and_in_floating_point(rng):
    logits, labels = normal(rng, 3, 7), np.array([1, -100, 6])
    expected = float(token_cross_entropy(logits, labels))
    for given in (labels[:, None], labels.astype("float64"), labels[:, None].astype("float32"), labels.astype("int16")):
        assert float(token_cross_entropy(logits, given)) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="`labels` must be whole numbers, the classes; got float32"):
        token_cross_entropy(logits, np.array([0.5, 1, 2], "float32"))


def test_weights_of_next_tokens_move_with_their_labels(rng):
    logits, labels, weights = normal(rng, 2, 4, 7), rng.integers(0, 7, (2, 4)), rng.uniform(size=(2, 4))
    weights = weights.astype("float32")
    logs = numpy(ops.log_softmax(logits, axis=-1))
    each = -np.take_along_axis(logs[:, :-1], labels[:, 1:, None], axis=-1)[..., 0]
    found = next_token_loss(logits, labels, sample_weight=weights)
    assert float(found) == pytest.approx((each * weights[:, 1:]).mean(), rel=1e-5)
    found = next_token_loss(logits, labels, sample_weight=weights[:, 0])
    assert float(found) == pytest.approx((each * weights[:, :1]).mean(), rel=1e-5)
    with pytest.raises(ValueError, match="`sample_weight` must have shape"):
        next_token_loss(logits, labels, sample_weight=np.ones(3, "float32"))
