"""Scenes of handwritten digits before a textured background, to learn segmentation and detection from."""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_tx.ops.image.boxes import corners_to_center
from keras_tx.ops.image.resample import bilinear_matrix
from keras_tx.ops.losses import IGNORED

INK = 90.0
"""The value from which on a pixel belongs to a digit, of 255."""
TRIES = 20
"""The number of attempts to find a free place for a digit."""


@dataclasses.dataclass(frozen=True)
class Scenes:
    """Images, and what is where in them.

    Attributes:
        images: float32 `(N, size, size, 1)`, values in [0, 255].
        masks: int32 `(N, size, size)`, 0 for the background, 1 for the pixels of a digit 0, and so on.
        class_labels: int32 `(N, M)`, the digits, -100 for slots left over.
        boxes: float32 `(N, M, 4)`, of their pixels: centre and size, in shares of the image.
    """

    images: np.ndarray
    masks: np.ndarray
    class_labels: np.ndarray
    boxes: np.ndarray


def digit_scenes(
    digits: np.ndarray,
    labels: np.ndarray,
    count: int,
    *,
    size: int = 48,
    digit_sizes: tuple[int, int] = (12, 24),
    most: int = 4,
    seed: int = 0,
) -> Scenes:
    """Draws scenes of one to `most` digits, each of a size of its own, at random places where they do not overlap.

    Args:
        digits: images to draw from, `(N, h, w, 1)`, values in [0, 255], 0 where there is no ink.
        labels: their classes, `(N,)`.
        count: scenes to draw.
        size: height and width of a scene.
        digit_sizes: the least and the largest height and width of a digit in it.
        most: digits in a scene, and slots for them.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    images = np.stack([_texture(size, rng) for _ in range(count)])
    masks = np.zeros((count, size, size), "int32")
    class_labels = np.full((count, most), IGNORED, "int32")
    corners = np.zeros((count, most, 4), "float32")
    for image, mask, classes, boxes in zip(images, masks, class_labels, corners, strict=True):
        free = np.ones((size, size), bool)
        for slot in range(rng.integers(1, most + 1)):
            number, side = rng.integers(len(digits)), int(rng.integers(digit_sizes[0], digit_sizes[1] + 1))
            place = _free_place(free, side, rng)
            if place is None:
                continue
            here = np.s_[place[0] : place[0] + side, place[1] : place[1] + side]
            digit = _resized(digits[number, ..., 0], side)
            ink = digit > INK
            free[here] = False
            image[here] = np.maximum(image[here], digit)
            mask[here][ink] = 1 + labels[number]
            classes[slot], boxes[slot] = labels[number], _bounds(ink, place)
    return Scenes(images[..., None], masks, class_labels, np.asarray(corners_to_center(corners / size)))


def _texture(size: int, rng: np.random.Generator) -> np.ndarray:
    """Waves of a random direction and length, and noise."""
    rows, columns = np.indices((size, size), "float32")
    angle, length, phase = rng.uniform(0, 2 * np.pi), rng.uniform(4, 16), rng.uniform(0, 2 * np.pi)
    waves = np.sin(2 * np.pi * (rows * np.cos(angle) + columns * np.sin(angle)) / length + phase)
    return (rng.uniform(20, 60) * (1 + waves) / 2 + rng.uniform(0, 50, (size, size))).astype("float32")


def _free_place(free: np.ndarray, side: int, rng: np.random.Generator) -> tuple[int, int] | None:
    """Row and column of a square that is free; None if none was found."""
    for _ in range(TRIES):
        row, column = rng.integers(0, len(free) - side + 1, 2)
        if free[row : row + side, column : column + side].all():
            return int(row), int(column)
    return None


def _resized(digit: np.ndarray, side: int) -> np.ndarray:
    rows, columns = (bilinear_matrix(length, side) for length in digit.shape)
    return (rows @ digit @ columns.T).astype("float32")


def _bounds(ink: np.ndarray, place: tuple[int, int]) -> tuple[int, int, int, int]:
    """Corners of the box around all ink, in pixels of the scene."""
    (row, column), rows, columns = place, np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return column + columns[0], row + rows[0], column + columns[-1] + 1, row + rows[-1] + 1
