"""Writes what Transformers makes of random predictions and objects: matches, losses, overlaps, detections.

    python tests/golden/make_detection.py

Needs torch, SciPy and Transformers; written with Transformers 5.23.0.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from transformers.loss import loss_for_object_detection as peer
from transformers.models.detr.image_processing_detr import DetrImageProcessor

LAYERS, BATCH, QUERIES, CLASSES, SLOTS = 3, 5, 11, 7, 6
OBJECTS = (4, 0, 6, 1, 3)
"""In each image."""
SIZE = (37, 53)
"""Height and width of the images in pixels."""

CONFIG = SimpleNamespace(
    num_labels=CLASSES,
    decoder_layers=LAYERS,
    auxiliary_loss=True,
    class_cost=1,
    bbox_cost=5,
    giou_cost=2,
    bbox_loss_coefficient=5,
    giou_loss_coefficient=2,
    eos_coefficient=0.1,
)


def random_boxes(rng: np.random.Generator, *shape: int) -> np.ndarray:
    center, size = rng.uniform(0.2, 0.8, (*shape, 2)), rng.uniform(0.05, 0.4, (*shape, 2))
    return np.concatenate([center, size], axis=-1).astype("float32")


def given(rng: np.random.Generator) -> dict[str, np.ndarray]:
    class_labels = rng.integers(0, CLASSES, (BATCH, SLOTS), "int32")
    for row, count in zip(class_labels, OBJECTS, strict=True):
        row[count:] = -100
    return {
        "logits": 2 * rng.normal(size=(LAYERS, BATCH, QUERIES, CLASSES + 1)).astype("float32"),
        "pred_boxes": random_boxes(rng, LAYERS, BATCH, QUERIES),
        "class_labels": class_labels,
        "boxes": random_boxes(rng, BATCH, SLOTS),
    }


def expected(x: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    logits, boxes = torch.from_numpy(x["logits"]), torch.from_numpy(x["pred_boxes"])
    labels = [
        {"class_labels": torch.from_numpy(classes[:count]).long(), "boxes": torch.from_numpy(of_image[:count])}
        for classes, of_image, count in zip(x["class_labels"], x["boxes"], OBJECTS, strict=True)
    ]
    everything = (logits[-1], labels, "cpu", boxes[-1], CONFIG, logits, boxes)
    whole, parts, _ = peer.ForObjectDetectionLoss(*everything)
    matches = peer.HungarianMatcher(1, 5, 2)({"logits": logits[-1], "pred_boxes": boxes[-1]}, labels)
    queries = np.full((BATCH, SLOTS), -1)
    for row, (query, slot) in zip(queries, matches, strict=True):
        row[slot.numpy()] = query.numpy()
    last = parts["loss_ce"] + 5 * parts["loss_bbox"] + 2 * parts["loss_giou"]
    corners = [peer.center_to_corners_format(torch.from_numpy(x["boxes"][i])) for i in (0, 2)]
    found = DetrImageProcessor().post_process_object_detection(
        SimpleNamespace(logits=logits[-1], pred_boxes=boxes[-1]), threshold=0.4, target_sizes=[SIZE] * BATCH
    )
    return {
        "loss": whole.numpy(),
        "last_loss": last.numpy(),
        "queries": queries,
        "giou": peer.generalized_box_iou(*corners).numpy(),
        "iou": peer.box_iou(*corners)[0].numpy(),
        **{f"{name}_{i}": x.numpy() for i, of_image in enumerate(found) for name, x in of_image.items()},
    }


def main(directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    x = given(np.random.default_rng(3))
    np.savez_compressed(
        directory / "expected.npz", **{f"given/{name}": array for name, array in x.items()}, **expected(x)
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("detection"))
