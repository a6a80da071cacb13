"""The metric of object detection: average precision, as COCO counts it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from keras_tx.models.core.set_metrics import SetMetric
from keras_tx.ops.image.boxes import box_iou, center_to_corners
from keras_tx.ops.image.detection import best_classes
from keras_tx.ops.losses import IGNORED

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""Overlaps from which on a box counts as found."""
RECALLS = np.linspace(0.0, 1.0, 101)
"""The recalls at which precision is read."""


class AveragePrecision(SetMetric):
    """COCO's average precision of detectors (Lin et al. 2014), over all that has been seen since the last reset.

    Each image's detections of a class, from the likeliest on, take the free object of that class that they overlap
    most, if by a threshold or more: then they are right. Ordered by probability over all images, they give precision by
    recall; it is made to fall, read at 101 recalls, and averaged, over the classes that there are objects of.

    Given to a detector's `compile` it is in what `evaluate` and the validation of `fit` give. It works outside of
    graphs:

        metric = AveragePrecision()
        for images, labels in batches:
            metric.update_state(labels, model.predict_on_batch(images))
        metric.result()

    Args:
        max_detections: of an image, the likeliest, that count.
    """

    def __init__(self, max_detections: int = 100):
        self.max_detections = max_detections
        self.reset_state()

    def reset_state(self) -> None:
        """Forgets what has been seen."""
        self._objects: dict[int, int] = {}
        self._found: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}

    def update_state(self, y_true: Mapping[str, Any], y_pred: Mapping[str, Any]) -> None:
        """Takes one batch.

        Args:
            y_true: `"class_labels"`, integers `(B, M)`, -100 for no object; and `"boxes"`, `(B, M, 4)`, centre and
                size.
            y_pred: `"logits"`, `(B, Q, C + 1)`, and `"pred_boxes"`, `(B, Q, 4)`.
        """
        labels, scores = (np.asarray(ops.convert_to_numpy(x)) for x in best_classes(y_pred["logits"]))
        classes = np.asarray(ops.convert_to_numpy(y_true["class_labels"]))
        overlaps = _overlaps(y_pred["pred_boxes"], y_true["boxes"])
        for image, likeliest in enumerate(np.argsort(-scores, axis=1, kind="stable")[:, : self.max_detections]):
            for number in np.union1d(classes[image][classes[image] != IGNORED], labels[image, likeliest]):
                found = likeliest[labels[image, likeliest] == number]
                objects = np.flatnonzero(classes[image] == number)
                right = _match(overlaps[image][np.ix_(found, objects)])
                self._objects[int(number)] = self._objects.get(int(number), 0) + len(objects)
                self._found.setdefault(int(number), []).append((scores[image, found], right))

    def result(self) -> dict[str, float]:
        """`"AP"`, the mean over overlaps of 0.5, 0.55, ..., 0.95; `"AP50"` and `"AP75"` at one; NaN without objects."""
        each = []
        for number, count in self._objects.items():
            scores, right = zip(*self._found[number], strict=True)
            if count:
                each.append(_average_precision(np.concatenate(scores), np.concatenate(right), count))
        if not each:
            return dict.fromkeys(("AP", "AP50", "AP75"), float("nan"))
        by_threshold = np.mean(each, axis=0)
        return {"AP": float(by_threshold.mean()), "AP50": float(by_threshold[0]), "AP75": float(by_threshold[5])}


def _overlaps(boxes1, boxes2) -> np.ndarray:
    """Intersection over union of all pairs of an image, `(B, Q, M)`."""
    boxes1, boxes2 = (center_to_corners(ops.cast(boxes, "float32")) for boxes in (boxes1, boxes2))
    return np.asarray(ops.convert_to_numpy(box_iou(ops.expand_dims(boxes1, 2), ops.expand_dims(boxes2, 1))))


def _match(overlaps: np.ndarray) -> np.ndarray:
    """Returns which detections are right, the likeliest first: booleans `(detections, thresholds)`."""
    right = np.zeros((len(overlaps), len(THRESHOLDS)), bool)
    if not overlaps.size:
        return right
    free = np.ones((len(THRESHOLDS), overlaps.shape[1]), bool)
    for of_detection, is_right in zip(overlaps, right, strict=True):
        best = np.where(free, of_detection, -1.0)
        nearest = best.argmax(axis=1)
        is_right[:] = best.max(axis=1) >= THRESHOLDS
        free[is_right, nearest[is_right]] = False
    return right


def _average_precision(scores: np.ndarray, right: np.ndarray, objects: int) -> np.ndarray:
    """Returns the average precision of one class at each threshold; `right` is `(detections, thresholds)`."""
    right = right[np.argsort(-scores, kind="stable")]
    hits = np.cumsum(right, axis=0)
    precision = hits / np.arange(1, len(hits) + 1)[:, None]
    falling = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    falling = np.concatenate([falling, np.zeros((1, falling.shape[1]))])  # beyond the highest recall
    places = [np.searchsorted(of_threshold / objects, RECALLS) for of_threshold in hits.T]
    return np.array([of_threshold[at].mean() for of_threshold, at in zip(falling.T, places, strict=True)])
