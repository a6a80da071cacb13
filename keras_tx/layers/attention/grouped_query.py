"""Grouped-query and multi-query attention by their names."""

from __future__ import annotations

from typing import Any, ClassVar

from keras_tx.layers.attention.multi_head import MultiHeadAttention
from keras_tx.layers.core.base import register


@register
class GroupedQueryAttention(MultiHeadAttention):
    """Multi-head attention whose query heads share `num_kv_heads` key/value heads (Ainslie et al. 2023).

    Args:
        dim: width in and out.
        num_heads: query heads.
        num_kv_heads: key/value heads, a divisor of `num_heads`.
        options: other arguments of `MultiHeadAttention`.

    Raises:
        ValueError: as `MultiHeadAttention` does.
    """

    width_name: ClassVar[str] = "dim"

    def __init__(self, dim: int, num_heads: int, num_kv_heads: int, **options: Any):
        super().__init__(dim, num_heads, num_kv_heads, **options)
        self.dim = dim
        self._hand_on(options)


@register
class MultiQueryAttention(MultiHeadAttention):
    """Multi-head attention whose query heads share one key/value head (Shazeer 2019).

    Args:
        dim: width in and out.
        num_heads: query heads.
        options: other arguments of `MultiHeadAttention`.

    Raises:
        ValueError: as `MultiHeadAttention` does.
    """

    width_name: ClassVar[str] = "dim"

    def __init__(self, dim: int, num_heads: int, **options: Any):
        super().__init__(dim, num_heads, 1, **options)
        self.dim = dim
        self._hand_on(options)
