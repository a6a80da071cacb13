"""Boxes, `(..., 4)`, as corners `(x_min, y_min, x_max, y_max)` or as centre and size `(x, y, width, height)`.

What compares boxes with boxes broadcasts: `box_iou(boxes1[:, None], boxes2)` is of all pairs.
"""

from __future__ import annotations

from keras import ops

EPSILON = 1e-12
"""The least area that is divided by: two boxes without any overlap by nothing."""


def center_to_corners(boxes):
    """Corners of boxes given by centre and size."""
    center, size = boxes[..., :2], boxes[..., 2:]
    return ops.concatenate([center - size / 2, center + size / 2], axis=-1)


def corners_to_center(boxes):
    """Centre and size of boxes given by corners."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return ops.concatenate([(low + high) / 2, high - low], axis=-1)


def box_area(boxes):
    """Areas `(...)` of boxes given by corners."""
    size = boxes[..., 2:] - boxes[..., :2]
    return size[..., 0] * size[..., 1]


def box_iou(boxes1, boxes2):
    """Returns the intersection over union of boxes.

    Args:
        boxes1, boxes2: corners, `(..., 4)`.

    Returns:
        `(...)`, in [0, 1]; 0 for two boxes without area.
    """
    intersection, union = _overlap(boxes1, boxes2)
    return intersection / ops.maximum(union, EPSILON)


def generalized_box_iou(boxes1, boxes2):
    """Returns the intersection over union, less the share of the smallest box around both that neither covers.

    It tells boxes that do not overlap from those that are farther apart (Rezatofighi et al. 2019, algorithm 1).

    Args:
        boxes1, boxes2: corners, `(..., 4)`.

    Returns:
        `(...)`, in [-1, 1].
    """
    intersection, union = _overlap(boxes1, boxes2)
    low = ops.minimum(boxes1[..., :2], boxes2[..., :2])
    high = ops.maximum(boxes1[..., 2:], boxes2[..., 2:])
    hull = box_area(ops.concatenate([low, high], axis=-1))
    return intersection / ops.maximum(union, EPSILON) - (hull - union) / ops.maximum(hull, EPSILON)


def _overlap(boxes1, boxes2) -> tuple:
    """Returns the areas that both boxes cover, and that either does."""
    low = ops.maximum(boxes1[..., :2], boxes2[..., :2])
    high = ops.minimum(boxes1[..., 2:], boxes2[..., 2:])
    intersection = box_area(ops.concatenate([low, ops.maximum(low, high)], axis=-1))
    return intersection, box_area(boxes1) + box_area(boxes2) - intersection
