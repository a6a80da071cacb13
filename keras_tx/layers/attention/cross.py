"""Cross attention by its name."""

from __future__ import annotations

from typing import Any, ClassVar

from keras_tx.layers.attention.multi_head import MultiHeadAttention
from keras_tx.layers.core.base import register


@register
class CrossAttention(MultiHeadAttention):
    """Multi-head attention from one sequence to another.

    Args:
        dim: width in and out.
        context_dim: width of the other sequence, which keys and values come from.
        num_heads: query heads.
        options: other arguments of `MultiHeadAttention`.

    Raises:
        ValueError: as `MultiHeadAttention` does.
    """

    width_name: ClassVar[str] = "dim"

    def __init__(self, dim: int, context_dim: int, num_heads: int, **options: Any):
        super().__init__(dim, num_heads, context_dim=context_dim, **options)
        self.dim = dim
        self._hand_on(options)
