"""The loss of a set of boxes: Transformers' numbers, what it must not see, what it must not take."""

from pathlib import Path

import numpy as np
import pytest
from helpers import compiled, gradients, numpy, softmax
from keras import ops
from outputs import read_golden

from keras_tx.ops.image.detection import best_classes, detection_loss

GIVEN, EXPECTED = read_golden(Path(__file__).parents[1] / "golden" / "detection")
PREDICTED = (GIVEN["logits"][-1], GIVEN["pred_boxes"][-1])
OBJECTS = (GIVEN["class_labels"], GIVEN["boxes"])
LAST = pytest.approx(float(EXPECTED["last_loss"]), abs=1e-5)
COMPILED = compiled(detection_loss)


def loss(*arrays: np.ndarray, **weights: float) -> float:
    """Under XLA."""
    tensors = {name: ops.convert_to_tensor(weight) for name, weight in weights.items()}
    return float(COMPILED(*map(ops.convert_to_tensor, arrays), **tensors))


def test_loss_as_transformers():
    """Of the last block of a decoder, compiled or not; and of all, as one batch three times as large."""
    assert float(detection_loss(*PREDICTED, *OBJECTS)) == LAST
    assert loss(*PREDICTED, *OBJECTS) == LAST
    every = [GIVEN[name].reshape(-1, *GIVEN[name].shape[2:]) for name in ("logits", "pred_boxes")]
    tiled = [np.concatenate([x] * 3) for x in OBJECTS]
    assert 3 * loss(*every, *tiled) == pytest.approx(float(EXPECTED["loss"]), abs=1e-4)


def test_matched_boxes_alone_get_a_gradient():
    """Those of the queries that Transformers' matcher gives the objects to; every query's logits get one."""
    of_logits, of_boxes = gradients(lambda *predicted: detection_loss(*predicted, *OBJECTS), *PREDICTED)
    matched = np.zeros(PREDICTED[0].shape[:2], bool)
    for row, queries in zip(matched, EXPECTED["queries"], strict=True):
        row[queries[queries >= 0]] = True
    np.testing.assert_array_equal(of_boxes.any(axis=-1), matched)
    assert of_logits.any(axis=-1).all()


def test_empty_slots_are_not_read():
    classes, boxes = OBJECTS
    for filling in (np.nan, -7.0):
        other = np.where((classes == -100)[..., None], np.float32(filling), boxes)
        assert loss(*PREDICTED, classes, other) == LAST
    wider = np.pad(classes, ((0, 0), (0, 5)), constant_values=-100), np.pad(boxes, ((0, 0), (0, 5), (0, 0)))
    assert loss(*PREDICTED, *wider) == LAST


def test_order_does_not_count(rng):
    queries, slots = rng.permutation(PREDICTED[0].shape[1]), rng.permutation(OBJECTS[0].shape[1])
    assert loss(*(x[:, queries] for x in PREDICTED), *(x[:, slots] for x in OBJECTS)) == LAST


def test_without_objects():
    """All are to say "no object"."""
    expected = -np.log(softmax(PREDICTED[0])[..., -1]).mean()
    assert loss(*PREDICTED, np.full_like(OBJECTS[0], -100), OBJECTS[1]) == pytest.approx(expected, abs=1e-5)
    assert loss(*PREDICTED, *(x[:, :0] for x in OBJECTS)) == pytest.approx(expected, abs=1e-5)  # as padded_batch gives


def test_weights_count():
    """Each of them, if it is another than the paper's."""
    usual = {
        "class_cost": 1.0,
        "bbox_cost": 5.0,
        "giou_cost": 2.0,
        "bbox_loss_coefficient": 5.0,
        "giou_loss_coefficient": 2.0,
        "eos_coefficient": 0.1,
    }
    assert loss(*PREDICTED, *OBJECTS, **usual) == LAST
    for name in usual:
        other = 0.0 if name == "bbox_cost" else 40.0
        assert loss(*PREDICTED, *OBJECTS, **(usual | {name: other})) != LAST, name


def test_errors():
    classes, boxes = OBJECTS
    bad = [
        (classes + 7, boxes, r"`class_labels` must lie in \[0, num_classes\) = \[0, 7\)"),
        (np.where(classes == -100, -1, classes), boxes, r"`class_labels` must lie in \[0, num_classes\)"),
        (classes + np.float32(0.5), boxes, "`class_labels` must be whole numbers"),
        (classes[:, :-1], boxes, r"`class_labels` must have shape \(5, 6\); got \(5, 5\)"),
        (classes, boxes[..., :3], r"`boxes` must have shape \(None, None, 4\); got \(5, 6, 3\)"),
        (classes, 37 * boxes, r"`boxes` must be .* in shares of the image, in \[0, 1\]; got values from"),
        (np.zeros((5, 12), "int32"), np.zeros((5, 12, 4)), "have 12 slots for objects, and there are 11 queries"),
    ]
    for labels, of_labels, message in bad:
        with pytest.raises(ValueError, match=message):
            detection_loss(*PREDICTED, labels, of_labels)


def test_in_a_graph_they_are_no_number():
    classes, boxes = OBJECTS
    for labels, of_labels in ((classes + 7, boxes), (classes, 37 * boxes), (classes - 5, boxes)):
        assert np.isnan(loss(*PREDICTED, labels, of_labels))


def test_best_classes():
    labels, scores = map(numpy, best_classes(PREDICTED[0]))
    likely = softmax(PREDICTED[0])[..., :-1]
    np.testing.assert_array_equal(labels, likely.argmax(axis=-1))
    np.testing.assert_allclose(scores, likely.max(axis=-1), atol=1e-6)
