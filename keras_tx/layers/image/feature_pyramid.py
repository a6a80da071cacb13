"""Feature maps of several scales: made of one, and merged into one.

Maps are `(B, H, W, C)`, in order from fine to coarse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
from keras import ops

from keras_tx.layers.core.base import Layer, register
from keras_tx.layers.core.initializers import clone_initializer
from keras_tx.layers.core.linear import Linear
from keras_tx.ops.activations import gelu
from keras_tx.ops.checks import require_positive, require_width
from keras_tx.ops.image.patches import pixel_shuffle
from keras_tx.ops.image.resample import resize_maps


@register
class SimpleFeaturePyramid(Layer):
    """Maps of several scales, of maps that are all of one (ViTDet, Li et al. 2022, section 3).

    A map is made twice as fine by a transposed convolution of 2 x 2 with as large a stride, as one matrix product, once
    or as often as need be, with a norm and GELU between; it loses half of its width each time. Coarser ones are the
    maximum of squares. The paper makes all of the last map; given several, each of its own, as BEiT does (Bao et al.
    2021).

    Input: as many maps as scales, or one for all, `(B, H, W, dim)`. Output: a tuple of maps,
    `(B, H * scale, W * scale, widths[i])`, rounded up.

    Args:
        dim: width of the maps.
        scales: of the maps that come out, in the map that goes in: powers of 2.
        norm_epsilon: added to the variance.
        kernel_initializer: of all kernels.

    Raises:
        ValueError: for a width less than 1, scales that are not powers of 2, or finer than the width can be halved for;
            at call, for another number of maps, or another width.
    """

    def __init__(
        self,
        dim: int,
        scales: Sequence[float] = (4, 2, 1, 0.5),
        norm_epsilon: float = 1e-6,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_positive(dim=dim)
        self.dim = dim
        self.scales = tuple(scales)
        self.norm_epsilon = norm_epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.widths = pyramid_widths(dim, self.scales)
        self.finer = [self._finer(number, scale) for number, scale in enumerate(self.scales)]

    def _finer(self, number: int, scale: float) -> list:
        """Returns the layers that halve the width and double the map, each but the last followed by a norm."""
        made: list[keras.layers.Layer] = []
        for step in range(1, int(math.log2(max(scale, 1))) + 1):
            if made:
                made.append(
                    keras.layers.LayerNormalization(
                        epsilon=self.norm_epsilon, dtype=self.dtype_policy, name=f"norm_{number}_{step}"
                    )
                )
            made.append(
                Linear(
                    4 * (self.dim // 2**step),
                    kernel_initializer=clone_initializer(self.kernel_initializer),
                    dtype=self.dtype_policy,
                    name=f"finer_{number}_{step}",
                )
            )
        return made

    def build(self, input_shape=None):
        for layers in self.finer:
            width = self.dim
            for layer in layers:
                layer.build((None, None, None, width))
                width = layer.units // 4 if isinstance(layer, Linear) else width

    def call(self, maps):
        maps = list(maps) if isinstance(maps, tuple | list) else [maps] * len(self.scales)
        if len(maps) != len(self.scales):
            raise ValueError(f"`maps` must be one, or one for each of `scales` = {self.scales}; got {len(maps)}.")
        for x in maps:
            require_width(x, self.dim, "maps")
        return tuple(map(self._scaled, maps, self.finer, self.scales))

    def _scaled(self, x, finer: list, scale: float):
        for layer in finer:
            x = pixel_shuffle(layer(x), 2) if isinstance(layer, Linear) else gelu(layer(x))
        squares = int(1 / min(scale, 1))
        return x if squares == 1 else ops.max_pool(x, squares, squares, padding="same", data_format="channels_last")


def pyramid_widths(dim: int, scales: Sequence[float]) -> tuple[int, ...]:
    """Returns the widths of the maps that `SimpleFeaturePyramid` makes.

    Raises:
        ValueError: as it does.
    """
    if not scales or any(scale <= 0 or not math.log2(scale).is_integer() for scale in scales):
        raise ValueError(f"the scales of a pyramid must be powers of 2, as 4, 1 or 0.5; got {tuple(scales)}.")
    if max(scales) > dim:
        raise ValueError(f"a width of {dim} cannot be halved for a scale of {max(scales)}: take less fine scales.")
    return tuple(int(dim // max(scale, 1)) for scale in scales)


@register
class PyramidDecoder(Layer):
    """One fine map of several that differ in scale, by a feature pyramid network.

    Linear maps bring all to one width. From the coarsest on, each is made as large as the next finer one and added to
    it (Lin et al. 2017); then each goes through a convolution of 3 x 3, norm and GELU, is made as large as the finest,
    and all are added up (Kirillov et al. 2019, section 3.1). Maps are enlarged by linear interpolation.

    Input: maps `(B, H, W, dims[i])` from fine to coarse, of any sizes. Output: `(B, H, W, width)`, as large as the
    finest.

    Args:
        dims: the widths of the maps.
        width: of what comes out, and of all between.
        norm_epsilon: added to the variance.
        kernel_initializer: of all kernels.

    Raises:
        ValueError: for widths less than 1; at call, for another number of maps, or other widths.
    """

    def __init__(
        self,
        dims: Sequence[int],
        width: int = 256,
        norm_epsilon: float = 1e-6,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_positive(width=width)
        for dim in dims:
            require_positive(dims=dim)
        self.dims = tuple(dims)
        self.width = width
        self.norm_epsilon = norm_epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        numbers = range(len(self.dims))
        self.laterals = [Linear(width, name=f"lateral_{i}", **self._options()) for i in numbers]
        self.convolutions = [
            keras.layers.Conv2D(
                width, 3, padding="same", data_format="channels_last", name=f"convolution_{i}", **self._options()
            )
            for i in numbers
        ]
        self.norms = [
            keras.layers.LayerNormalization(epsilon=norm_epsilon, dtype=self.dtype_policy, name=f"norm_{i}")
            for i in numbers
        ]

    def _options(self) -> dict:
        return {"kernel_initializer": clone_initializer(self.kernel_initializer), "dtype": self.dtype_policy}

    def build(self, input_shape=None):
        for dim, lateral in zip(self.dims, self.laterals, strict=True):
            lateral.build((None, None, None, dim))
        for layer in (*self.convolutions, *self.norms):
            layer.build((None, None, None, self.width))

    def call(self, maps):
        if len(maps) != len(self.dims):
            raise ValueError(f"`maps` must be {len(self.dims)}, as `dims`; got {len(maps)}.")
        for x, dim in zip(maps, self.dims, strict=True):
            require_width(x, dim, "maps")
        merged = [lateral(x) for lateral, x in zip(self.laterals, maps, strict=True)]
        for i in reversed(range(len(merged) - 1)):
            merged[i] = merged[i] + resize_maps(merged[i + 1], _size(merged[i]))
        refined = [
            gelu(norm(convolution(x)))
            for convolution, norm, x in zip(self.convolutions, self.norms, merged, strict=True)
        ]
        return sum(resize_maps(x, _size(merged[0])) for x in refined)


def _size(x) -> tuple:
    """Height and width of a map."""
    return tuple(ops.shape(x)[1:3])
