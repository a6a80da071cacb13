"""Average precision by hand, and as pycocotools counts it."""

import math
from pathlib import Path

import numpy as np
import pytest
from outputs import read_golden

from keras_tx import ViTForObjectDetection
from keras_tx.models.vit.dense import TINY_DETECTION
from keras_tx.training.metrics.average_precision import AveragePrecision

pytestmark = pytest.mark.any_backend

GOLDEN = Path(__file__).parents[1] / "golden" / "average_precision"
FAR = (0.1, 0.1, 0.1, 0.1)


def logits(*classes_and_scores: tuple[int, float], classes: int = 3) -> np.ndarray:
    """Of one image: each detection's class has this logit, all others 0."""
    made = np.zeros((1, len(classes_and_scores), classes + 1), "float32")
    for row, (number, score) in zip(made[0], classes_and_scores, strict=True):
        row[number] = score
    return made


def count(class_labels, boxes, detections, pred_boxes, **options) -> dict[str, float]:
    metric = AveragePrecision(**options)
    objects = {"class_labels": np.array([class_labels], "int32"), "boxes": np.array([boxes], "float32")}
    found = {"logits": logits(*detections), "pred_boxes": np.array([pred_boxes], "float32")}
    metric.update_state(objects, found)
    return metric.result()


def wide(share: float) -> tuple[float, ...]:
    """A box that overlaps the one of width 0.4 by this much."""
    return (0.5 - 0.2 * (1 - share), 0.5, 0.4 * share, 0.4)


BOX = wide(1.0)


def test_overlaps_by_hand():
    """One object: right at as many of ten thresholds as the overlap reaches."""
    for share, expected in ((1.0, (1, 1, 1)), (0.76, (0.6, 1, 1)), (0.62, (0.3, 1, 0)), (0.4, (0, 0, 0))):
        found = count([2], [BOX], [(2, 5.0)], [wide(share)])
        assert tuple(found[name] for name in ("AP", "AP50", "AP75")) == pytest.approx(expected), share


def test_order_and_duplicates_by_hand():
    """Precision is read where recall is reached: at 101 places, 51 of them up to a half."""
    two = [1, 1, -100], [BOX, (0.1, 0.1, 0.2, 0.2), BOX]
    right, other = (1, 5.0), (1, 3.0)
    assert count(*two, [right, other], [BOX, FAR])["AP50"] == pytest.approx(51 / 101)
    assert count(*two, [other, right], [BOX, FAR])["AP50"] == pytest.approx(51 / 101 / 2)  # what is wrong comes first
    assert count(*two, [right, other], [BOX, BOX])["AP50"] == pytest.approx(51 / 101)  # an object is found once
    assert count(*two, [right, other], [BOX, (0.1, 0.1, 0.2, 0.2)])["AP50"] == pytest.approx(1)
    assert count(*two, [right, (2, 9.0)], [BOX, BOX])["AP50"] == pytest.approx(51 / 101)  # there is no object of 2


def test_classes_are_averaged():
    objects = [0, 2], [BOX, (0.1, 0.1, 0.2, 0.2)]
    assert count(*objects, [(0, 5.0), (0, 3.0)], [BOX, (0.1, 0.1, 0.2, 0.2)])["AP"] == pytest.approx(0.5)


def test_only_the_likeliest_count():
    found = [(1, 5.0), (1, 3.0)], [FAR, BOX]
    assert count([1], [BOX], *found)["AP"] == pytest.approx(0.5)
    assert count([1], [BOX], *found, max_detections=1)["AP"] == 0


def test_without_objects():
    assert all(math.isnan(value) for value in count([-100], [BOX], [(0, 5.0)], [BOX]).values())


def test_as_pycocotools():
    """In one batch, or in several of other sizes; and again after a reset."""
    given, expected = read_golden(GOLDEN)
    metric = AveragePrecision()
    for size in (23, 5):
        for start in range(0, 23, size):
            batch = {name: x[start : start + size] for name, x in given.items()}
            metric.update_state(batch, batch)
        found = metric.result()
        assert found == {name: pytest.approx(float(value), abs=1e-6) for name, value in expected.items()}
        assert 0.1 < found["AP"] < found["AP50"] < 0.9
        metric.reset_state()


def test_in_compile():
    """It is in what `evaluate` gives of arrays and datasets, and among the validation of `fit`."""
    tf = pytest.importorskip("tensorflow")
    rng, model = np.random.default_rng(3), ViTForObjectDetection(TINY_DETECTION)
    images = rng.normal(size=(3, *TINY_DETECTION.image_size, TINY_DETECTION.channels)).astype("float32")
    labels = {"class_labels": np.array([[0, 1], [1, -100], [2, 2]]), "boxes": np.full((3, 2, 4), 0.5, "float32")}
    metric = AveragePrecision()
    model.compile("sgd", metrics=[metric], run_eagerly=True)
    found = model.evaluate(images, labels, batch_size=2, verbose=0, return_dict=True)
    alone = AveragePrecision()
    alone.update_state(labels, model(images))
    assert {name: found[name] for name in ("AP", "AP50", "AP75")} == pytest.approx(alone.result(), nan_ok=True)
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(2)
    assert model.evaluate(batches, verbose=0, return_dict=True) == pytest.approx(found, rel=1e-5)
    history = model.fit(images, labels, validation_data=(images, labels), verbose=0).history
    assert {"val_loss", "val_AP", "val_AP50", "val_AP75"} <= set(history)
