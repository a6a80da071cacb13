"""Windows of feature maps, which Swin Transformers attend in (Liu et al. 2021, section 3.2).

A window is a pair: its height and width in tokens. Sizes of maps may be tensors, where they are not known yet.

Shape letters, here and in the layers:
    B batch, H and W height and width of a map, C channels, N windows of a map, T tokens of a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from keras import ops

from keras_tx.ops.image.patches import Size, pair, patchify, unpatchify

Window = tuple[int, int]
Shift = tuple[int, int]
WindowFit = Literal["axes", "shorter_side", "height"]
"""The ways to fit windows into stages whose maps are no larger than a window; see `fit_windows`."""


def pad(x, window: Window):
    """Returns a map `(B, H, W, C)` with zeros below and to its right, so that it is made of whole windows."""
    _, height, width, _ = ops.shape(x)
    below, right = -height % window[0], -width % window[1]
    return x if are_zero(below, right) else ops.pad(x, ((0, 0), (0, below), (0, right), (0, 0)))


def crop(x, height, width):
    """Returns the upper left part of a map `(B, H, W, C)`, of that height and width: what `pad` was given."""
    _, *size, _ = ops.shape(x)
    return x if are_equal(size, (height, width)) else x[:, :height, :width]


def roll(x, shift: tuple):
    """Returns a map `(B, H, W, C)` moved up and left by two numbers; what leaves it comes in again on the other side.

    Where all numbers are known it is cut and put together again; tensors, otherwise, say which row is taken.
    """
    for axis, steps in zip((1, 2), shift, strict=True):
        length = ops.shape(x)[axis]
        if are_zero(steps):
            continue
        if isinstance(steps, int) and isinstance(length, int):
            # A split's gradient is put together; a slice's would be written into zeros.
            first, rest = ops.split(x, [steps % length], axis=axis)
            x = ops.concatenate([rest, first], axis=axis)
        else:
            x = ops.take(x, (ops.arange(length) + steps) % length, axis=axis)
    return x


def are_zero(*numbers) -> bool:
    """Returns whether all are known to be 0."""
    return all(isinstance(number, int) and number == 0 for number in numbers)


def are_equal(sizes: Sequence, others: Sequence) -> bool:
    """Returns whether all are known, and each to be the same."""
    return all(isinstance(n, int) and isinstance(m, int) and n == m for n, m in zip(sizes, others, strict=True))


def partition(x, window: Window):
    """Returns the windows of a map `(B, H, W, C)`, row by row: `(B * N, T, C)`."""
    return ops.reshape(patchify(x, window), (-1, window[0] * window[1], x.shape[-1]))


def merge(x, window: Window, size: tuple):
    """Returns the map of this height and width that `partition` made windows of: `(B * N, T, C)` to `(B, H, W, C)`."""
    count = size[0] // window[0] * (size[1] // window[1])
    return unpatchify(ops.reshape(x, (-1, count, x.shape[1] * x.shape[2])), window, size)


def segments(size: tuple, window: Window, shift: tuple):
    """Returns the segment of each token of a map of this height and width that `roll` moved: int32 `(N, T)`.

    In windows at the lower and right edges, tokens of another segment come from the opposite edge of the map: they do
    not look at each other (`masks.segments`).
    """
    from_above, from_left = (
        ops.cast(ops.arange(length) >= length - steps, "int32") for length, steps in zip(size, shift, strict=True)
    )
    numbers = 2 * ops.expand_dims(from_above, 1) + from_left
    return partition(ops.expand_dims(numbers, (0, 3)), window)[..., 0]


# === Windows of stages ===


def window_of_each(size: int | Sequence[Size], stages: int, name: str = "window_size") -> list[Window]:
    """Returns the windows of all stages, from one number or from one number or pair for each.

    Raises:
        ValueError: for another number of them; `name` is what they are called.
    """
    each = [size] * stages if isinstance(size, int) else list(size)
    if len(each) != stages:
        raise ValueError(f"`{name}` must be one number, or one for each of {stages} stages; got {size}.")
    return [pair(window) for window in each]


def fit_windows(sizes: Sequence[Window], grid: tuple[int, int], fit: WindowFit) -> list[tuple[Window, Shift]]:
    """Returns the windows of a Swin Transformer's stages, and the shifts of the blocks that shift theirs, by half.

    Each stage's map is half as high and wide as the one before.

    Args:
        sizes: the window that each stage should have.
        grid: height and width of the first stage's map.
        fit: "axes", along either axis a window no smaller than the map shrinks to it and is not shifted; "height",
            likewise, but the height, halved rounding down, counts for both axes; "shorter_side", they stay.
    """
    result = []
    for stage, (down, across) in enumerate(sizes):
        scale = 2**stage
        if fit == "axes":
            height, width = -(-grid[0] // scale), -(-grid[1] // scale)
        elif fit == "height":
            height = width = grid[0] // scale
        else:
            height, width = down + 1, across + 1
        shift = (down // 2 if height > down else 0, across // 2 if width > across else 0)
        result.append(((min(height, down), min(width, across)), shift))
    return result


# === Relative positions ===


def relative_position_index(window: Window) -> np.ndarray:
    """Returns the number of the offset between each query and key of a window, int32 `(T, T)`.

    Offsets of the rows go from `1 - height` to `height - 1`, for each of them offsets of the columns from `1 - width`
    to `width - 1`: `(2 * height - 1) * (2 * width - 1)` in all.
    """
    rows, columns = (axis.reshape(-1) for axis in np.indices(window, dtype="int32"))
    down = rows[:, None] - rows + window[0] - 1
    across = columns[:, None] - columns + window[1] - 1
    return down * (2 * window[1] - 1) + across


def log_spaced_offsets(window: Window, reference: Window) -> np.ndarray:
    """Returns the offsets that `relative_position_index` numbers, log-spaced (Liu et al. 2022, equation 4).

    Args:
        window: the window.
        reference: the window whose largest offsets count as 8, of which the logarithm is taken: pre-training's.

    Returns:
        float32 `((2 * height - 1) * (2 * width - 1), 2)`, rows and columns.
    """
    axes = [np.arange(1 - size, size) * (8.0 / max(of - 1, 1)) for size, of in zip(window, reference, strict=True)]
    offsets = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    return (np.sign(offsets) * np.log2(1 + np.abs(offsets)) / np.log2(8)).astype("float32")


def resample_bias_table(table: np.ndarray, old: Window, new: Window) -> np.ndarray:
    """Returns a table with a row for each offset, `(offsets, D)`, for windows of another size.

    Along each axis the old offsets are spread over the new ones in geometric progression, those between neighbours
    staying as they are, and the new ones are interpolated linearly: as in BEiT (Bao et al. 2021) and timm.
    """
    if old == new:
        return table
    rows, columns = (_spread(2 * a - 1, 2 * b - 1) for a, b in zip(old, new, strict=True))
    grid = table.reshape(2 * old[0] - 1, 2 * old[1] - 1, -1)
    resampled = np.einsum("ih,jw,hwd->ijd", rows, columns, grid)
    return resampled.reshape(-1, table.shape[-1]).astype(table.dtype)


def _spread(old: int, new: int) -> np.ndarray:
    """Returns the matrix `(new, old)` that interpolates one axis."""
    low, high = 1.01, 1.5
    while high - low > 1e-6:  # the ratio at which the old axis ends where the new one does
        ratio = (low + high) / 2
        if (ratio ** (old // 2) - 1) / (ratio - 1) > new // 2:
            high = ratio
        else:
            low = ratio
    steps = np.cumsum(ratio ** np.arange(old // 2))
    places = np.concatenate([-steps[::-1], [0.0], steps])
    wanted = np.arange(new) - new // 2
    return np.stack([np.interp(wanted, places, row) for row in np.eye(old)], axis=1)
