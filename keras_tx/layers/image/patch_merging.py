"""The step from one stage of a Swin Transformer to the next: four neighbours become one token."""

from __future__ import annotations

from typing import Literal

import keras
from keras import ops

from keras_tx.layers.core.base import Layer, register
from keras_tx.layers.core.linear import Linear
from keras_tx.ops.checks import require_positive, require_rank, require_width
from keras_tx.ops.image.patches import patchify
from keras_tx.ops.image.windows import pad


@register
class PatchMerging(Layer):
    """Merges each square of 2 x 2 tokens into one of twice the width (Liu et al. 2021, section 3.1).

    Input: `(B, H, W, dim)`. Output: `(B, ceil(H / 2), ceil(W / 2), 2 * dim)`; odd maps are padded with zeros.

    Args:
        dim: width of the input.
        norm_position: "pre", the four side by side are normalized; or "post", their linear map is (Liu et al. 2022).
        norm_epsilon: added to the variance.
        kernel_initializer: of the linear map's kernel.

    Raises:
        ValueError: for a width less than 1, or another `norm_position`; at call, for another rank or width.
    """

    def __init__(
        self,
        dim: int,
        norm_position: Literal["pre", "post"] = "pre",
        norm_epsilon: float = 1e-5,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_positive(dim=dim)
        if norm_position not in ("pre", "post"):
            raise ValueError(f'`norm_position` must be "pre" or "post"; got {norm_position!r}.')
        self.dim = dim
        self.norm_position = norm_position
        self.norm_epsilon = norm_epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.norm = keras.layers.LayerNormalization(epsilon=norm_epsilon, dtype=self.dtype_policy, name="norm")
        self.reduction = Linear(
            2 * dim,
            use_bias=False,
            kernel_initializer=self.kernel_initializer,
            dtype=self.dtype_policy,
            name="reduction",
        )

    def build(self, input_shape=None):
        self.norm.build((None, None, None, (4 if self.norm_position == "pre" else 2) * self.dim))
        self.reduction.build((None, None, None, 4 * self.dim))

    def call(self, x):
        require_rank(x, 4, "x", "(batch, height, width, dim)")
        require_width(x, self.dim, "x")
        x = pad(x, (2, 2))
        batch, height, width, _ = ops.shape(x)
        above_left, above_right, below_left, below_right = ops.split(patchify(x, 2), 4, axis=-1)
        x = ops.concatenate([above_left, below_left, above_right, below_right], axis=-1)
        x = ops.reshape(x, (batch, height // 2, width // 2, 4 * self.dim))
        return self.reduction(self.norm(x)) if self.norm_position == "pre" else self.norm(self.reduction(x))

    def compute_output_shape(self, input_shape):
        batch, height, width, dim = input_shape
        half = (None if size is None else -(-size // 2) for size in (height, width))
        return (batch, *half, 2 * dim)
