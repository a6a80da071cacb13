"""Tables and kernels on a grid of another size, by one matrix for the rows and one for the columns.

No runtime needs to know bicubic interpolation, which XLA has no kernel for. Where the sizes are known the matrices are
constants; where a graph is traced for any size, they are computed in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from keras_tx.ops.image.patches import Size, pair
from keras_tx.ops.primitives import axis_product


def bicubic_matrix(old: int, new):
    """Returns the matrix `(new, old)` of bicubic interpolation along one axis, antialiased where it shrinks.

    It is Keys' cubic kernel (1981, a = -1/2), as wide as a step of the output, its weights normalized at the borders:
    what Pillow and `torch.nn.functional.interpolate(mode="bicubic", antialias=True)` compute.

    Args:
        old: the size there is.
        new: the size there shall be, a number, or a scalar tensor where it is not known yet.

    Returns:
        A NumPy array for a number, float64; otherwise a tensor, float32.
    """
    return _matrix(old, new, _cubic, 2)


def bilinear_matrix(old, new):
    """Returns the matrix of linear interpolation, as `bicubic_matrix`; the old size may be a tensor, too."""
    return _matrix(old, new, _linear, 1)


def _matrix(old, new, kernel: Callable, support: int):
    """Returns the matrix of interpolation by a kernel that is 0 from `support` samples on."""
    known = isinstance(old, int) and isinstance(new, int)
    xp: Any = np if known else ops
    scale = _float(old) / _float(new)
    width = xp.maximum(scale, 1.0)
    centres = xp.expand_dims((_float(xp.arange(new)) + 0.5) * scale, 1)
    samples = _float(xp.arange(old))
    first = xp.floor(centres - support * width + 0.5)
    last = xp.floor(centres + support * width + 0.5)
    inside = xp.logical_and(samples >= first, samples < last)
    weights = xp.where(inside, kernel((samples + 0.5 - centres) / width, xp), 0.0)
    return weights / xp.sum(weights, axis=1, keepdims=True)


def _float(x):
    return x * 1.0 if isinstance(x, int | np.ndarray) else ops.cast(x, "float32")


def _cubic(x, xp, a: float = -0.5):
    x = xp.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    return xp.where(x < 1, near, xp.where(x < 2, far, 0.0))


def _linear(x, xp):
    return xp.maximum(1 - xp.abs(x), 0.0)


def resize_maps(x, size: tuple):
    """Returns maps `(B, H, W, C)` at another height and width, tensors where not known yet, by linear interpolation.

    It is what `torch.nn.functional.interpolate(mode="bilinear", align_corners=False, antialias=True)` computes.
    """
    _, *before, _ = ops.shape(x)
    for axis, old, new in zip((1, 2), before, size, strict=True):
        if not (isinstance(old, int) and isinstance(new, int) and old == new):
            x = axis_product(x, _like(x, bilinear_matrix(old, new)), axis)
    return x


def resample_grid(table, new: tuple):
    """Returns a table on a grid, `(H, W, D)`, on another, `(*new, D)`; a NumPy array or a tensor, as it came."""
    rows, columns = (_like(table, bicubic_matrix(*sizes)) for sizes in zip(table.shape[:2], new, strict=True))
    xp = _module(table)
    return xp.einsum("jw,iwd->ijd", columns, xp.einsum("ih,hwd->iwd", rows, table))


def resample_positions(table, prefix: int, old: tuple[int, int], new: tuple):
    """Returns a position table `(1, prefix + H * W, D)` for a grid of another size; the first `prefix` rows stay.

    Args:
        table: a NumPy array or a tensor.
        prefix: rows of tokens that are not patches.
        old, new: height and width of the grids; tensors where the new ones are not known yet.
    """
    if all(isinstance(size, int) for size in new) and tuple(old) == tuple(new):
        return table
    xp, dim = _module(table), table.shape[-1]
    patches = resample_grid(xp.reshape(table[0, prefix:], (*old, dim)), new)
    return xp.concatenate([table[:, :prefix], xp.reshape(patches, (1, -1, dim))], axis=1)


def _module(x):
    return np if isinstance(x, np.ndarray) else ops


def _like(x, matrix):
    return matrix.astype(x.dtype) if isinstance(x, np.ndarray) else ops.cast(matrix, x.dtype)


def adapt_kernel(kernel: np.ndarray, patch_size: Size, channels: int) -> np.ndarray:
    """Returns a patch embedding's kernel `(p, q, C, D)` for patches and channels that may be others."""
    new = pair(patch_size)
    kernel = kernel if kernel.shape[:2] == new else resample_kernel(kernel, new)
    return kernel if kernel.shape[2] == channels else adapt_channels(kernel, channels)


def resample_kernel(kernel: np.ndarray, new: tuple[int, int]) -> np.ndarray:
    """Returns a patch embedding's kernel `(p, q, C, D)` for patches of another size (Beyer et al. 2023, section 3.4).

    A patch that is resized then has, as near as can be, the embedding it had: the kernel is multiplied by the
    pseudo-inverse of the resizing.
    """
    old = kernel.shape[:2]
    rows, columns = (np.linalg.pinv(bicubic_matrix(*sizes)) for sizes in zip(old, new, strict=True))
    return np.einsum("hi,wj,hwcd->ijcd", rows, columns, kernel).astype(kernel.dtype)


def adapt_channels(kernel: np.ndarray, channels: int) -> np.ndarray:
    """Returns a convolution's kernel `(p, q, C, D)` for images of another number of channels.

    One channel gets the sum of all: grey images then are as they were with their grey in every channel. More get the
    kernel's over and over, scaled so that the sum over channels of equal images stays.
    """
    old = kernel.shape[2]
    if channels == 1:
        return kernel.sum(axis=2, keepdims=True)
    repeated = np.take(kernel, np.arange(channels) % old, axis=2)
    return (repeated * (old / channels)).astype(kernel.dtype)
