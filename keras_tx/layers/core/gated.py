"""Gated feed-forward networks by their names (Shazeer 2020)."""

from __future__ import annotations

from typing import Any

from keras_tx.layers.core.base import register
from keras_tx.layers.core.feedforward import FeedForward


@register
class GEGLU(FeedForward):
    """A feed-forward network gated by GELU (Shazeer 2020), as in T5 v1.1.

    Args:
        d_model: width in and out.
        d_ff: width between.
        dropout: rate on the output.
        options: other arguments of `FeedForward`.

    Raises:
        ValueError: as `FeedForward` does.
    """

    def __init__(self, d_model: int, d_ff: int, dropout: float = 0.0, **options: Any):
        super().__init__(d_model, d_ff, dropout, activation="gelu", gated=True, **options)
        self._hand_on(options)


@register
class SwiGLU(FeedForward):
    """A feed-forward network gated by SiLU, also called Swish (Shazeer 2020), as in LLaMA.

    Args:
        d_model: width in and out.
        d_ff: width between.
        dropout: rate on the output.
        options: other arguments of `FeedForward`.

    Raises:
        ValueError: as `FeedForward` does.
    """

    def __init__(self, d_model: int, d_ff: int, dropout: float = 0.0, **options: Any):
        super().__init__(d_model, d_ff, dropout, activation="silu", gated=True, **options)
        self._hand_on(options)


@register
class ReGLU(FeedForward):
    """A feed-forward network gated by ReLU (Shazeer 2020).

    Args:
        d_model: width in and out.
        d_ff: width between.
        dropout: rate on the output.
        options: other arguments of `FeedForward`.

    Raises:
        ValueError: as `FeedForward` does.
    """

    def __init__(self, d_model: int, d_ff: int, dropout: float = 0.0, **options: Any):
        super().__init__(d_model, d_ff, dropout, activation="relu", gated=True, **options)
        self._hand_on(options)
