"""Boxes by their definition, and against Transformers' numbers."""

from pathlib import Path

import numpy as np
import pytest
from helpers import gradients, numpy
from keras import ops
from outputs import read_golden

from keras_tx.ops.image.boxes import box_area, box_iou, center_to_corners, corners_to_center, generalized_box_iou

GOLDEN = Path(__file__).parents[1] / "golden" / "detection"


def test_corners_and_centers():
    boxes = np.array([[0.5, 0.25, 0.5, 0.25], [0.1, 0.7, 0.2, 0.6]], "float32")
    corners = numpy(center_to_corners(boxes))
    np.testing.assert_allclose(corners, [[0.25, 0.125, 0.75, 0.375], [0.0, 0.4, 0.2, 1.0]], atol=1e-7)
    np.testing.assert_allclose(corners_to_center(corners), boxes, atol=1e-7)
    np.testing.assert_allclose(box_area(corners), boxes[:, 2] * boxes[:, 3], atol=1e-7)


@pytest.mark.parametrize(
    ("other", "iou", "giou"),
    [
        ([0, 0, 2, 3], 1.0, 1.0),
        ([1, 1, 3, 4], 2 / 10, 2 / 10 - 2 / 12),  # of 2 x 3 and 2 x 3 with 1 x 2 in common, in 3 x 4
        ([0, 0, 2, 6], 0.5, 0.5),
        ([4, 0, 6, 3], 0.0, -6 / 18),  # 6 of the 18 around both are neither's
        ([0, 4, 2, 4], 0.0, -2 / 8),  # without area
    ],
)
def test_by_hand(other, iou, giou):
    boxes = np.array([0, 0, 2, 3], "float32"), np.array(other, "float32")
    assert float(box_iou(*boxes)) == pytest.approx(iou, abs=1e-6)
    assert float(generalized_box_iou(*boxes)) == pytest.approx(giou, abs=1e-6)
    assert float(generalized_box_iou(*reversed(boxes))) == pytest.approx(giou, abs=1e-6)


def test_all_pairs_as_transformers():
    given, expected = read_golden(GOLDEN)
    some, others = (center_to_corners(given["boxes"][i]) for i in (0, 2))
    np.testing.assert_allclose(box_iou(some[:, None], others), expected["iou"], atol=1e-6)
    np.testing.assert_allclose(generalized_box_iou(some[:, None], others), expected["giou"], atol=1e-6)


def test_two_points_have_finite_gradients():
    point = np.array([0.3, 0.3, 0.3, 0.3], "float32")
    assert float(generalized_box_iou(point, point)) == 0
    for gradient in gradients(lambda a, b: ops.sum(generalized_box_iou(a, b)), point, point + 0.1):
        assert np.isfinite(gradient).all()
