"""Detection as the prediction of a set (DETR, Carion et al. 2020): predictions are matched to objects, then compared.

Shape letters:
    B batch, Q queries, each a prediction, M slots for objects, C classes.

Boxes are centre and size, `(x, y, width, height)`, in shares of the image's width and height. An image with fewer than
M objects has `IGNORED` (-100) for the class of each slot that is left.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_tx.ops.checks import known_values, require_below, require_shape
from keras_tx.ops.image.boxes import center_to_corners, generalized_box_iou
from keras_tx.ops.image.matching import linear_sum_assignment
from keras_tx.ops.image.windows import are_zero
from keras_tx.ops.losses import IGNORED, as_classes, weighted
from keras_tx.ops.replicas import mean


def detection_loss(
    logits,
    pred_boxes,
    class_labels,
    boxes,
    *,
    class_cost: float = 1.0,
    bbox_cost: float = 5.0,
    giou_cost: float = 2.0,
    bbox_loss_coefficient: float = 5.0,
    giou_loss_coefficient: float = 2.0,
    eos_coefficient: float = 0.1,
    sample_weight: Any = None,
):
    """Returns the loss of a set of predictions (Carion et al. 2020, section 3.1 and appendix A.2).

    Objects and predictions are matched one to one at the least cost: of the class's probability, the distance of the
    boxes and their generalized intersection over union. The loss is the weighted mean cross-entropy of the classes,
    where a prediction without an object is to say "no object", and distance and overlap of the matched boxes, summed
    and divided by the number of objects.

    Args:
        logits: `(B, Q, C + 1)`, the last one of "no object".
        pred_boxes: `(B, Q, 4)`.
        class_labels: integers `(B, M)`, `IGNORED` (-100) for slots without an object; M <= Q, and may be 0.
        boxes: `(B, M, 4)`; not read in those slots.
        class_cost, bbox_cost, giou_cost: what the parts of the cost of a match are multiplied by.
        bbox_loss_coefficient, giou_loss_coefficient: likewise of the loss.
        eos_coefficient: the weight of "no object" in the cross-entropy.
        sample_weight: of each image, `(B,)`.

    Returns:
        float32 scalar.

    Raises:
        ValueError: for labels or boxes that do not fit, more slots than predictions, and classes outside [0, C) or
            numbers of boxes outside [0, 1] if known. Inside a compiled graph, which cannot raise, those give NaN.
    """
    classes = logits.shape[-1] - 1
    class_labels, boxes = _with_a_slot(class_labels, boxes)
    labels, counts, right = _check(class_labels, boxes, logits.shape[1], classes)
    boxes = ops.where(ops.expand_dims(counts, -1), ops.cast(boxes, "float32"), 0.5)
    pred_boxes = ops.cast(pred_boxes, "float32")
    logs = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)

    cost = _matching_cost(logs, pred_boxes, labels, boxes, class_cost, bbox_cost, giou_cost)
    queries = linear_sum_assignment(ops.where(ops.expand_dims(counts, -1), cost, 0.0))
    matched = ops.logical_and(ops.one_hot(queries, logits.shape[1], dtype="bool"), ops.expand_dims(counts, -1))

    # A query that is matched to no slot sums to 0 here, which leaves it "no object".
    wanted = classes + ops.sum(ops.where(matched, ops.expand_dims(labels - classes, -1), 0), axis=1)
    errors = -ops.squeeze(ops.take_along_axis(logs, ops.expand_dims(wanted, -1), axis=-1), axis=-1)
    weights = ops.where(ops.equal(wanted, classes), eos_coefficient, 1.0)
    class_loss = mean(weighted(errors, sample_weight), weights)

    found = ops.matmul(ops.cast(matched, "float32"), pred_boxes)  # (B, M, 4)
    distance, overlap = _compare(found, boxes)
    box_losses = weighted(bbox_loss_coefficient * distance + giou_loss_coefficient * (1 - overlap), sample_weight)
    box_loss = mean(box_losses, ops.cast(counts, "float32"))
    return (class_loss + box_loss) * ops.where(ops.all(right), 1.0, float("nan"))


def _with_a_slot(class_labels, boxes) -> tuple:
    """Labels and boxes with one empty slot where there is none, as in a batch in which no image has an object."""
    class_labels, boxes = ops.convert_to_tensor(class_labels), ops.convert_to_tensor(boxes)
    if len(class_labels.shape) != 2 or len(boxes.shape) != 3:  # which is told below
        return class_labels, boxes
    slots = ops.shape(class_labels)[1]
    more = max(1 - slots, 0) if isinstance(slots, int) else ops.maximum(1 - slots, 0)
    if are_zero(more):
        return class_labels, boxes
    labels = ops.pad(class_labels, ((0, 0), (0, more)), constant_values=IGNORED)
    return labels, ops.pad(boxes, ((0, 0), (0, more), (0, 0)))


def _matching_cost(logs, pred_boxes, labels, boxes, class_cost, bbox_cost, giou_cost):
    """Returns the cost of matching each slot to each query, `(B, M, Q)`."""
    chosen = ops.one_hot(labels, logs.shape[-1], dtype="float32")
    likely = ops.einsum("bmc,bqc->bmq", chosen, ops.exp(logs))
    distance, overlap = _compare(ops.expand_dims(pred_boxes, 1), ops.expand_dims(boxes, 2))
    return bbox_cost * distance - class_cost * likely - giou_cost * overlap


def _compare(boxes1, boxes2) -> tuple:
    """Returns the sum of the absolute differences, and the generalized intersection over union."""
    distance = ops.sum(ops.abs(boxes1 - boxes2), axis=-1)
    return distance, generalized_box_iou(center_to_corners(boxes1), center_to_corners(boxes2))


def _check(class_labels, boxes, queries: int, classes: int) -> tuple:
    """Returns the classes, 0 for none, and which slots hold an object, and which nothing wrong: `(B, M)` each."""
    require_shape(boxes, (None, None, 4), "boxes")
    labels = as_classes(class_labels, tuple(boxes.shape[:2]), "class_labels")
    slots = boxes.shape[1]
    if slots is not None and slots > queries:
        raise ValueError(
            f"`class_labels` have {slots} slots for objects, and there are {queries} queries: give fewer slots, or "
            "make the model with more `num_queries`."
        )
    counts = ops.not_equal(labels, IGNORED)
    labels = ops.where(counts, labels, 0)
    require_below(labels, classes, "class_labels", "num_classes")
    held = ops.where(ops.expand_dims(counts, -1), ops.cast(boxes, "float32"), 0.0)
    values = known_values(held)
    if values is not None:
        _require_in_image(values)
    in_image = ops.all(ops.logical_and(held >= 0, held <= 1), axis=-1)
    right = ops.logical_and(in_image, ops.logical_and(labels >= 0, labels < classes))
    return ops.where(right, labels, 0), counts, right


def require_boxes(class_labels: np.ndarray, boxes: np.ndarray) -> None:
    """Raises ValueError for boxes of objects that are not in shares of the image."""
    _require_in_image(np.where((class_labels != IGNORED)[..., None], boxes, 0.0))


def _require_in_image(boxes: np.ndarray) -> None:
    if not ((boxes >= 0) & (boxes <= 1)).all():
        raise ValueError(
            "`boxes` must be (x, y, width, height) in shares of the image, in [0, 1]; got values from "
            f"{boxes.min()} to {boxes.max()}."
        )


def best_classes(logits) -> tuple:
    """Returns the likeliest class of each prediction, "no object" apart, and its probability.

    Args:
        logits: `(B, Q, C + 1)`.

    Returns:
        `labels`, int32 `(B, Q)`, and `scores`, float32 `(B, Q)`.
    """
    likely = ops.exp(ops.log_softmax(ops.cast(logits, "float32"), axis=-1))[..., :-1]
    return ops.cast(ops.argmax(likely, axis=-1), "int32"), ops.max(likely, axis=-1)
