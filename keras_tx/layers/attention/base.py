"""The base of all attention layers, whatever their keys are: projections, heads, the cache and its mask."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NamedTuple

import keras
from keras import ops

from keras_tx.layers.core.base import Layer
from keras_tx.layers.core.initializers import clone_initializer
from keras_tx.layers.core.linear import Linear
from keras_tx.layers.core.norm import make_norm
from keras_tx.ops.attention import masks
from keras_tx.ops.attention.cache import LayerCache


class Keys(NamedTuple):
    """The keys that the queries of a call meet, and what belongs to them.

    Attributes:
        tensors: keys and values, or what else this layer's cache holds: those of the call, after the cached ones.
        mask: boolean, broadcastable to `(B, H, T, S)`: which of them a query may look at; None for all.
        causal: whether the mask lacks causality, which kernels know by themselves.
        cache: the new cache; None without one.
    """

    tensors: tuple
    mask: Any
    causal: bool
    cache: LayerCache | None


class Attention(Layer):
    """The base of attention layers.

    Subclasses have the attributes below; one with another pattern than causality overrides `visible`, and whatever it
    does with its keys, once or twice, it gets them by `_meet`.

    Attributes:
        without: the arguments of `MultiHeadAttention` that have no meaning here.
        by_distance: whether it counts how far apart two tokens stand in a row, so that padding between them changes it.
        by_length: whether it counts, or limits, how long a row is, so that any padding changes it.
    """

    without: ClassVar[tuple[str, ...]] = ()
    by_distance: ClassVar[bool] = False
    by_length: ClassVar[bool] = False

    causal: bool
    norm_epsilon: float
    kernel_initializer: keras.initializers.Initializer

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self.supports_masking = True

    def visible(self, query_positions, key_positions):
        """The layer's own mask, boolean: which of `(S,)` keys each of `(T,)` queries may look at.

        Without causality that is all up to the last query, for a cache is empty behind it.
        """
        return masks.causal(query_positions if self.causal else query_positions[-1:], key_positions)

    def _meet(self, new: tuple, mask, cache, *, queries, explicit: bool = False) -> Keys:
        """Returns what queries meet: the new keys after the cached ones, and the mask that follows.

        Args:
            new: keys and values `(B, K, T, D)`, or what else `cache.append` takes.
            mask: the caller's own, broadcastable to `(B, H, T, S)`; None for nothing hidden.
            cache: the layer's; None for none.
            queries: how many there are: the last ones of the keys' positions.
            explicit: whether `visible` has to be asked without a cache, too, and is not what `causal` says.
        """
        if cache is not None:
            positions, slots = cache.query_positions(queries), cache.key_positions()
            cache = cache.append(*new)
            new = tuple(cache.tensors().values())
        elif explicit:
            slots = ops.arange(ops.shape(new[0])[2], dtype="int32")
            positions = slots[ops.shape(new[0])[2] - queries :]
        else:
            return Keys(new, mask, self.causal, None)
        return Keys(new, masks.combine(self.visible(positions, slots), mask), False, cache)

    def _own_mask(self, mask, x_mask, cache):
        """Returns Keras's mask of the input, `(B, T)`, by whichever of its two names Keras has given it.

        Raises:
            ValueError: with a cache, whose slots are other positions.
        """
        mask = x_mask if mask is None else mask
        if mask is not None and cache is not None:
            raise ValueError(
                "with a `cache` give `attention_mask`, over its slots: Keras's `mask` is of the input alone."
            )
        return mask

    def _projection(self, width: int, name: str, use_bias: bool, initializer=None) -> Linear:
        return Linear(
            width,
            use_bias=use_bias,
            kernel_initializer=clone_initializer(initializer or self.kernel_initializer),
            dtype=self.dtype_policy,
            name=name,
        )

    def _norm(self, kind: Literal["layer", "rms"], name: str):
        return make_norm(kind, self.norm_epsilon, dtype=self.dtype_policy, name=name)

    def _split(self, project: Linear, x, heads: int):
        """Projects `(B, T, C)` to `(B, heads, T, D)`."""
        batch, length, _ = ops.shape(x)  # not of the projection, which is a reshape: tf2onnx takes its rows for these
        x = project(x)
        return ops.swapaxes(ops.reshape(x, (batch, length, heads, x.shape[-1] // heads)), 1, 2)

    def _merge(self, x):
        """`(B, H, T, D)` to `(B, T, H * D)`."""
        batch, heads, length, width = ops.shape(x)
        return ops.reshape(ops.swapaxes(x, 1, 2), (batch, length, heads * width))

    def compute_output_shape(self, input_shape):
        return input_shape
