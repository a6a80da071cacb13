"""Windows of feature maps, which Swin Transformers attend in (Liu et al. 2021, section 3.2).

A window is a pair: its height and width in tokens. Shape letters, here and in the layers:
    B batch, H and W height and width of a map, both known, C channels, N windows of a map, T tokens of a window.
"""

from __future__ import annotations

import numpy as np
from keras import ops

from keras_tx.ops.patches import patchify, unpatchify

Window = tuple[int, int]


def pad(x, window: Window):
    """A map `(B, H, W, C)` with zeros below and to its right, so that it is made of whole windows."""
    _, height, width, _ = x.shape
    below, right = -height % window[0], -width % window[1]
    return ops.pad(x, ((0, 0), (0, below), (0, right), (0, 0))) if below or right else x


def roll(x, shift: tuple[int, int]):
    """A map `(B, H, W, C)` moved up and left by two numbers; what leaves it comes in again on the other side."""
    down, across = (steps % size for steps, size in zip(shift, x.shape[1:3], strict=True))
    x = ops.concatenate([x[:, down:], x[:, :down]], axis=1) if down else x
    return ops.concatenate([x[:, :, across:], x[:, :, :across]], axis=2) if across else x


def partition(x, window: Window):
    """The windows of a map `(B, H, W, C)`, row by row: `(B * N, T, C)`."""
    return ops.reshape(patchify(x, window), (-1, window[0] * window[1], x.shape[-1]))


def merge(x, window: Window, size: tuple[int, int]):
    """The map of this height and width that `partition` made windows of: `(B * N, T, C)` to `(B, H, W, C)`."""
    count = size[0] // window[0] * (size[1] // window[1])
    return unpatchify(ops.reshape(x, (-1, count, x.shape[1] * x.shape[2])), window, size)


def segments(size: tuple[int, int], window: Window, shift: tuple[int, int]) -> np.ndarray:
    """The segment of each token of a map of this height and width that `roll` moved: int32 `(N, T)`.

    In windows at the lower and right edges, tokens of another segment come from the opposite edge of the map: they do
    not look at each other (`masks.segments`).
    """
    from_above, from_left = (np.arange(length) >= length - steps for length, steps in zip(size, shift, strict=True))
    numbers = 2 * from_above[:, None] + from_left
    (down, across), (height, width) = window, size
    tiles = numbers.reshape(height // down, down, width // across, across).swapaxes(1, 2)
    return tiles.reshape(-1, down * across).astype("int32")


# === Relative positions ===


def relative_position_index(window: Window) -> np.ndarray:
    """For each query and key of a window, the number of the offset between them, int32 `(T, T)`.

    Offsets of the rows go from `1 - height` to `height - 1`, for each of them offsets of the columns from `1 - width`
    to `width - 1`: `(2 * height - 1) * (2 * width - 1)` in all.
    """
    rows, columns = (axis.reshape(-1) for axis in np.indices(window, dtype="int32"))
    down = rows[:, None] - rows + window[0] - 1
    across = columns[:, None] - columns + window[1] - 1
    return down * (2 * window[1] - 1) + across


def log_spaced_offsets(window: Window, reference: Window) -> np.ndarray:
    """The offsets that `relative_position_index` numbers, log-spaced (Liu et al. 2022, equation 4).

    Args:
        window: the window.
        reference: the window whose largest offsets count as 8, of which the logarithm is taken: pre-training's.

    Returns:
        float32 `((2 * height - 1) * (2 * width - 1), 2)`, rows and columns.
    """
    axes = [np.arange(1 - size, size) * (8.0 / max(of - 1, 1)) for size, of in zip(window, reference, strict=True)]
    offsets = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    return (np.sign(offsets) * np.log2(1 + np.abs(offsets)) / np.log2(8)).astype("float32")
