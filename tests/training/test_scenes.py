"""Scenes: masks, boxes and labels say the same of the same digits."""

import numpy as np
import pytest

from keras_tx.training.data.scenes import digit_scenes


@pytest.fixture
def digits(rng) -> tuple[np.ndarray, np.ndarray]:
    """A filled square within a rim for each class."""
    images = np.zeros((10, 8, 8, 1), "float32")
    images[:, 1:7, 2:6] = 255
    return images, np.arange(10, dtype="int32")


def test_masks_and_boxes_agree(digits):
    scenes = digit_scenes(*digits, 29, size=41, digit_sizes=(9, 19), most=3, seed=5)
    assert scenes.images.shape == (29, 41, 41, 1) and scenes.images.dtype == np.float32
    assert scenes.images.min() >= 0 and scenes.images.max() <= 255
    assert scenes.masks.shape == (29, 41, 41) and scenes.boxes.shape == (29, 3, 4)
    counts = (scenes.class_labels >= 0).sum(axis=1)
    assert set(counts) == {1, 2, 3}
    for image, mask, classes, boxes in zip(
        scenes.images[..., 0], scenes.masks, scenes.class_labels, scenes.boxes, strict=True
    ):
        covered = np.zeros_like(mask)
        for number, (x, y, width, height) in zip(classes, boxes * 41, strict=True):
            if number >= 0:
                edges = np.array([y - height / 2, y + height / 2, x - width / 2, x + width / 2])
                top, bottom, left, right = np.round(edges).astype(int)
                np.testing.assert_allclose(edges, [top, bottom, left, right], atol=1e-3)
                inside = mask[top:bottom, left:right]
                assert set(np.unique(inside)) <= {0, number + 1}
                assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))
                covered[top:bottom, left:right] += 1
        assert covered.max() == 1 and not mask[covered == 0].any()
        assert image[mask > 0].min() > 90


def test_seeds_draw_scenes(digits):
    first, again, other = (digit_scenes(*digits, 3, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.images, again.images)
    assert not np.array_equal(first.images, other.images)


def test_a_full_scene(digits):
    """Where there is no place for one more digit, its slot stays empty."""
    scenes = digit_scenes(*digits, 11, size=20, digit_sizes=(17, 17), most=5)
    assert ((scenes.class_labels >= 0).sum(axis=1) == 1).all()
    assert not scenes.boxes[scenes.class_labels < 0].any()
