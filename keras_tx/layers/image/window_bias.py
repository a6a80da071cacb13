"""The position biases of attention in windows: for each head, a number for each offset between two tokens.

The layers take no input: `pairs()` gives the bias of each query and key of a window, `(1, num_heads, T, T)`.
"""

from __future__ import annotations

import keras
from keras import ops

from keras_tx.layers.core.base import Layer, register
from keras_tx.layers.core.initializers import clone_initializer
from keras_tx.layers.core.linear import Linear
from keras_tx.ops.checks import require_positive
from keras_tx.ops.image.patches import pair
from keras_tx.ops.image.windows import Window, log_spaced_offsets, relative_position_index


@register
class RelativePositionBias(Layer):
    """A table with a row for each offset (Liu et al. 2021, equation 4).

    Args:
        window_size: height and width of the window.
        num_heads: heads that it is for.
        initializer: of the table.

    Raises:
        ValueError: for sizes less than 1.
    """

    def __init__(self, window_size: Window, num_heads: int, initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        require_window(window_size, "window_size")
        require_positive(num_heads=num_heads)
        self.window_size = pair(window_size)
        self.num_heads = num_heads
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape=None):
        height, width = self.window_size
        self.table = self.add_weight(
            shape=((2 * height - 1) * (2 * width - 1), self.num_heads), initializer=self.initializer, name="table"
        )

    def pairs(self):
        """`(1, num_heads, T, T)`."""
        return _over_pairs(ops.cast(self.table, self.compute_dtype), self.window_size)


@register
class ContinuousPositionBias(Layer):
    """A small network of the log-spaced offset, `16 * sigmoid(MLP(offset))` (Liu et al. 2022, section 3.3).

    Its weights do not depend on the window.

    Args:
        window_size: height and width of the window.
        num_heads: heads that it is for.
        pretrained_window_size: the window that the network was trained at, by which offsets are scaled;
            `window_size` unless given.
        width: between the two linear maps.
        kernel_initializer: of their kernels.

    Raises:
        ValueError: for sizes less than 1.
    """

    def __init__(
        self,
        window_size: Window,
        num_heads: int,
        pretrained_window_size: Window | None = None,
        width: int = 512,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_window(window_size, "window_size")
        require_positive(num_heads=num_heads, width=width)
        self.window_size = pair(window_size)
        self.num_heads = num_heads
        require_window(pretrained_window_size or window_size, "pretrained_window_size")
        self.pretrained_window_size = pair(pretrained_window_size or window_size)
        self.width = width
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        options = {"dtype": self.dtype_policy}
        self.up = Linear(width, kernel_initializer=clone_initializer(self.kernel_initializer), name="up", **options)
        self.down = Linear(
            num_heads,
            use_bias=False,
            kernel_initializer=clone_initializer(self.kernel_initializer),
            name="down",
            **options,
        )

    def build(self, input_shape=None):
        self.up.build((None, 2))
        self.down.build((None, self.width))

    def pairs(self):
        """`(1, num_heads, T, T)`."""
        offsets = ops.convert_to_tensor(log_spaced_offsets(self.window_size, self.pretrained_window_size))
        numbers = self.down(ops.relu(self.up(ops.cast(offsets, self.compute_dtype))))
        return _over_pairs(16 * ops.sigmoid(numbers), self.window_size)


def _over_pairs(table, window: Window):
    """Returns the row of each pair of tokens: `(offsets, heads)` to `(1, heads, T, T)`."""
    index = relative_position_index(window)
    pairs = ops.take(ops.transpose(table), index.reshape(-1), axis=1)
    return ops.reshape(pairs, (1, table.shape[-1], *index.shape))


def require_window(window, name: str) -> None:
    """Raise ValueError unless this is a pair of whole numbers of at least 1."""
    if not isinstance(window, tuple | list) or len(window) != 2:
        raise ValueError(f"`{name}` must be a pair, height and width; got {window!r}.")
    for size in window:
        require_positive(**{name: size})
