"""Writes the average precision that pycocotools counts for random detections.

    python tests/golden/make_average_precision.py

Needs pycocotools; written with version 2.0.11.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

IMAGES, QUERIES, CLASSES, SLOTS = 23, 13, 5, 7


def given(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Detections of which most lie near an object, some of another class."""
    center, size = rng.uniform(0.2, 0.8, (IMAGES, SLOTS, 2)), rng.uniform(0.1, 0.5, (IMAGES, SLOTS, 2))
    boxes = np.concatenate([center, size], axis=-1)
    class_labels = rng.integers(0, CLASSES - 1, (IMAGES, SLOTS))  # of the last class there is no object
    class_labels[rng.random(class_labels.shape) < 0.3] = -100
    near = rng.integers(0, SLOTS, (IMAGES, QUERIES))
    pred_boxes = np.take_along_axis(boxes, near[..., None], axis=1)
    pred_boxes = pred_boxes * rng.uniform(0.92, 1.08, pred_boxes.shape)
    classes = np.take_along_axis(class_labels, near, axis=1)
    classes = np.where(
        (rng.random(classes.shape) < 0.2) | (classes < 0), rng.integers(0, CLASSES, classes.shape), classes
    )
    logits = rng.normal(size=(IMAGES, QUERIES, CLASSES + 1)) + 4 * np.eye(CLASSES + 1)[classes]
    return {
        "class_labels": class_labels.astype("int32"),
        "boxes": boxes.astype("float32"),
        "logits": logits.astype("float32"),
        "pred_boxes": pred_boxes.astype("float32"),
    }


def corner_and_size(box: np.ndarray) -> list[float]:
    """A box as COCO has it, in pixels of an image of 1000 x 1000."""
    x, y, width, height = 1000 * box.astype("float64")
    return [x - width / 2, y - height / 2, width, height]


def expected(x: dict[str, np.ndarray]) -> dict[str, float]:
    objects, found = [], []
    scores = np.exp(x["logits"].astype("float64"))
    scores = (scores / scores.sum(axis=-1, keepdims=True))[..., :-1]
    for image in range(IMAGES):
        for category, box in zip(x["class_labels"][image], x["boxes"][image], strict=True):
            if category >= 0:
                bbox = corner_and_size(box)
                about = {"id": len(objects) + 1, "area": bbox[2] * bbox[3], "iscrowd": 0}
                objects.append({**about, "image_id": image, "category_id": int(category), "bbox": bbox})
        for score, box in zip(scores[image], x["pred_boxes"][image], strict=True):
            about = {"category_id": int(score.argmax()), "score": float(score.max())}
            found.append({**about, "image_id": image, "bbox": corner_and_size(box)})
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": image, "height": 1000, "width": 1000} for image in range(IMAGES)],
        "categories": [{"id": category} for category in range(CLASSES)],
        "annotations": objects,
    }
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return dict(zip(("AP", "AP50", "AP75"), evaluation.stats[:3], strict=True))


def main(directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    x = given(np.random.default_rng(5))
    np.savez_compressed(
        directory / "expected.npz", **{f"given/{name}": array for name, array in x.items()}, **expected(x)
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("average_precision"))
