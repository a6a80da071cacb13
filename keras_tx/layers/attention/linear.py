"""Attention in linear time: by feature maps in place of the softmax."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import keras
from keras import ops

from keras_tx.layers.attention.variant import AttentionVariant, of_keys, require_keys
from keras_tx.layers.core.base import register
from keras_tx.ops.attention.linear import (
    LinearState,
    elu_features,
    linear_attention,
    linear_attention_map,
    orthogonal_frequencies,
    softmax_features,
)
from keras_tx.ops.checks import require_positive


@register
class LinearAttention(AttentionVariant):
    """Multi-head attention with weights proportional to products of features of queries and keys, in O(length).

    With "elu" features it is a kernel of its own (Katharopoulos et al. 2020); with "favor" it is Performer's unbiased
    estimate of the softmax's exponentials, better the more features (FAVOR+, Choromanski et al. 2021). An attention
    map is as large as all pairs of positions, and takes as long.

    Causal or not, its cache is a state that does not grow.

    Args:
        dim: width in and out.
        num_heads: query heads.
        num_kv_heads: key/value heads; as many as `num_heads` unless given.
        feature_map: "elu" or "favor".
        num_features: random features of "favor"; `head_dim * ln(head_dim)`, rounded up, unless given.
        seed: of the random features; drawn from Keras's global seed unless given. They are weights, not trained.
        options: `causal`, `head_dim`, `use_bias`, `qkv_bias`, `qk_norm`, `norm_epsilon` and the initializers, as
            `MultiHeadAttention` takes them; with "favor" also `scale`, `rotary` and
            `rope_theta`.

    Raises:
        ValueError: as `MultiHeadAttention` does; for another feature map, and features without "favor"; at call, for
            a bias, a mask with a row for each query or head, and a map together with a cache.
    """

    without: ClassVar = (*AttentionVariant.without, "dropout")

    def __init__(
        self,
        dim: int,
        num_heads: int,
        num_kv_heads: int | None = None,
        *,
        feature_map: Literal["elu", "favor"] = "elu",
        num_features: int | None = None,
        seed: int | None = None,
        **options: Any,
    ):
        super().__init__(dim, num_heads, num_kv_heads, **options)
        if feature_map not in ("elu", "favor"):
            raise ValueError(f'`feature_map` must be "elu" or "favor"; got {feature_map!r}.')
        require_positive(num_features=num_features)
        if feature_map == "elu":
            only: dict[str, Any] = {"num_features": num_features, "seed": seed, "scale": self.scale}
            only |= {"rotary": self.rotary, "rope_theta": self.rope_theta}
            for name, value in only.items():
                if value is not None:
                    raise ValueError(f'`{name}` has a meaning with `feature_map="favor"` alone; got {value!r}.')
        self.feature_map = feature_map
        self.num_features = num_features
        self.seed = seed

    def build(self, input_shape=None):
        super().build(input_shape)
        if self.feature_map == "favor":
            shape = (self.head_dim, self._features())
            self.frequencies = self.add_weight(
                shape=shape, initializer="zeros", trainable=False, autocast=False, name="frequencies"
            )
            self.redraw_features(self.seed)

    def redraw_features(self, seed: int | None = None) -> None:
        """Draws the random features of "favor" anew; from Keras's global seed unless one is given."""
        if self.feature_map != "favor":
            raise ValueError('only `feature_map="favor"` has features that can be drawn anew; this is "elu".')
        seed = int(keras.random.randint((), 0, 2**31 - 1)) if seed is None else seed
        self.frequencies.assign(orthogonal_frequencies(self.head_dim, self._features(), seed))

    def _features(self) -> int:
        if self.feature_map == "elu":
            return self.head_dim
        return self.num_features or math.ceil(self.head_dim * math.log(max(self.head_dim, 2)))

    def _attend(self, query, key, value, mask, bias, cache, *, return_attention, training):
        if bias is not None:
            raise ValueError("`bias` has no meaning in LinearAttention: there are no scores to add it to.")
        if cache is not None and return_attention:
            raise ValueError("there is no map of a `cache` that is a sum: leave out `return_attention` or `cache`.")
        if self.feature_map == "elu":
            query, key = elu_features(query), elu_features(key)
        else:
            query = softmax_features(query, self.frequencies, self.scale, stabilize=True)
            key = softmax_features(key, self.frequencies, self.scale)
        if mask is not None:
            key = ops.where(self._real(mask, key, cache), key, ops.zeros((), key.dtype))
        output, state = linear_attention(query, key, value, causal=self.causal, state=cache)
        output = ops.cast(output, value.dtype)
        if return_attention:
            return (output, linear_attention_map(query, key, causal=self.causal)), None
        return output, None if cache is None else state

    def _real(self, mask, key, cache):
        """Returns which keys a mask `(B, 1, 1, S)` shows, `(B, 1, T, 1)`; with a cache, S counts the past too."""
        if not of_keys(mask):
            raise ValueError(
                "`attention_mask` of LinearAttention must be (batch, keys), the same for all queries and heads; got "
                f"one that broadcasts to (batch, heads, queries, keys) as {tuple(mask.shape)}."
            )
        real = ops.expand_dims(mask[:, :, 0], -1)
        if cache is None:
            require_keys(mask, key)
            return real
        return ops.take(real, cache.query_positions(ops.shape(key)[2]), axis=2)

    def init_cache(self, batch_size, length: int | None = None) -> LinearState:
        """The state before the first position; it takes any number of them."""
        features = self._features()
        return LinearState.empty(batch_size, self.num_kv_heads, features, self.head_dim, self.compute_dtype)
