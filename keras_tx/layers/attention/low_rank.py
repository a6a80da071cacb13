"""Attention through few keys: Linformer's projections of the length, and Nyström's landmarks."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import ops

from keras_tx.layers.attention.variant import AttentionVariant, of_keys, require_keys
from keras_tx.layers.core.base import register
from keras_tx.ops.attention.nystrom import nystrom_attention, nystrom_map
from keras_tx.ops.attention.softmax import attention
from keras_tx.ops.checks import require_positive


class _LowRankAttention(AttentionVariant):
    """The base of both: neither causal nor with a cache, and with masks of keys alone."""

    without: ClassVar = (*AttentionVariant.without, "causal")
    by_length: ClassVar[bool] = True

    def _attend(self, query, key, value, mask, bias, cache, *, return_attention, training):
        name = type(self).__name__
        if cache is not None:
            raise ValueError(f"`cache` has no meaning in {name}: all positions are mixed before a query looks.")
        if bias is not None:
            raise ValueError(f"`bias` has no meaning in {name}: there is no score for each pair of positions.")
        if not of_keys(mask):
            raise ValueError(
                f"`attention_mask` of {name} must be (batch, keys), the same for all queries and heads; got one that "
                f"broadcasts to (batch, heads, queries, keys) as {tuple(mask.shape)}."
            )
        if mask is not None:
            require_keys(mask, key)
        real = None if mask is None else mask[:, 0, 0]
        return self._attend_few(query, key, value, real, return_attention, self._softmax_options(training)), None

    def _attend_few(self, query, key, value, real, return_attention: bool, options: dict):
        raise NotImplementedError

    def init_cache(self, batch_size, length: int):
        """Raises ValueError: there is none."""
        raise ValueError(f"{type(self).__name__} is not causal and has no cache.")


@register
class LinformerAttention(_LowRankAttention):
    """Multi-head attention to keys and values projected to `rank` positions (Wang et al. 2020, equation 7).

    Time and memory are O(length * rank). The projections, E and F in the paper, are shared by all heads; that of values
    may be the keys'. A shorter sequence uses their first rows, and padding has no part. A map shows the projected
    positions, `(B, H, T, rank)`.

    Args:
        dim: width in and out.
        num_heads: query heads.
        max_length: rows of the projections, and so the longest sequence.
        rank: positions that a sequence is projected to.
        num_kv_heads: key/value heads; as many as `num_heads` unless given.
        share_projection: whether values are projected as keys are.
        options: `head_dim`, `scale`, `dropout`, `use_bias`, `qkv_bias`, `qk_norm`, `norm_epsilon` and the initializers,
            as `MultiHeadAttention` takes them.

    Raises:
        ValueError: as `MultiHeadAttention` does; at call, for a sequence longer than `max_length`, a cache, a bias,
            and a mask with a row for each query or head.
    """

    without: ClassVar = (*_LowRankAttention.without, "rotary", "rope_theta")

    def __init__(
        self,
        dim: int,
        num_heads: int,
        max_length: int,
        rank: int = 64,
        num_kv_heads: int | None = None,
        *,
        share_projection: bool = False,
        **options: Any,
    ):
        super().__init__(dim, num_heads, num_kv_heads, **options)
        require_positive(max_length=max_length, rank=rank)
        self.max_length = max_length
        self.rank = rank
        self.share_projection = share_projection

    def build(self, input_shape=None):
        super().build(input_shape)
        self.key_projection = self._length_projection("key_projection")
        self.value_projection = (
            self.key_projection if self.share_projection else self._length_projection("value_projection")
        )

    def _length_projection(self, name: str):
        # As the authors have it: of keys of variance 1, the projected ones have variance length / rank.
        initializer = keras.initializers.RandomNormal(stddev=self.rank**-0.5)
        return self.add_weight(shape=(self.max_length, self.rank), initializer=initializer, name=name)

    def _attend_few(self, query, key, value, real, return_attention: bool, options: dict):
        length = ops.shape(key)[2]
        if isinstance(length, int) and length > self.max_length:
            raise ValueError(f"`x` has {length} positions, more than `max_length` = {self.max_length}.")
        projected = []
        for x, projection in ((key, self.key_projection), (value, self.value_projection)):
            if real is not None:
                x = ops.where(real[:, None, :, None], x, ops.zeros((), x.dtype))
            projected.append(ops.einsum("bksd,sr->bkrd", x, ops.cast(projection, x.dtype)[:length]))
        mask = None if real is None else ops.any(real, axis=-1)[:, None, None, None]
        return attention(query, *projected, mask=mask, return_weights=return_attention, **options)


@register
class NystromAttention(_LowRankAttention):
    """Multi-head attention reconstructed from means of neighbours (Xiong et al. 2021: Nyströmformer, equation 13).

    softmax(Q K^T) is approximated by softmax(Q L_k^T) A^+ softmax(L_q K^T) with A = softmax(L_q L_k^T), L being
    `num_landmarks` means of stretches of positions and A^+ the iterated pseudo-inverse: O(length * num_landmarks). With
    a landmark for each position it is exact but for the iteration. A map, the product, is as large as all pairs of
    positions.

    Args:
        dim: width in and out.
        num_heads: query heads.
        num_landmarks: stretches.
        num_kv_heads: key/value heads; as many as `num_heads` unless given.
        iterations: of the pseudo-inverse.
        options: `head_dim`, `rope_theta`, `scale`, `use_bias`, `qkv_bias`, `qk_norm`, `norm_epsilon` and the
            initializers, as `MultiHeadAttention` takes them.

    Raises:
        ValueError: as `MultiHeadAttention` does; at call, for a cache, a bias, and a mask with a row for each query or
            head.
    """

    without: ClassVar = (*_LowRankAttention.without, "dropout")

    def __init__(
        self,
        dim: int,
        num_heads: int,
        num_landmarks: int = 64,
        num_kv_heads: int | None = None,
        *,
        iterations: int = 6,
        **options: Any,
    ):
        super().__init__(dim, num_heads, num_kv_heads, **options)
        require_positive(num_landmarks=num_landmarks, iterations=iterations)
        self.num_landmarks = num_landmarks
        self.iterations = iterations

    def _attend_few(self, query, key, value, real, return_attention: bool, options: dict):
        settings: dict[str, Any] = {"landmarks": self.num_landmarks, "iterations": self.iterations, "scale": self.scale}
        output = nystrom_attention(query, key, value, mask=real, **settings)
        return (output, nystrom_map(query, key, mask=real, **settings)) if return_attention else output
