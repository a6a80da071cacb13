"""The base of the attention layers that differ from `MultiHeadAttention` in how heads attend, and in nothing else."""

from __future__ import annotations

from typing import Any, ClassVar

from keras_tx.layers.attention.multi_head import MultiHeadAttention
from keras_tx.ops.checks import require_shape


class AttentionVariant(MultiHeadAttention):
    """Self-attention whose `_attend` is another; what `options` say is `MultiHeadAttention`'s, but for `without`."""

    width_name: ClassVar[str] = "dim"
    without: ClassVar[tuple[str, ...]] = ("context_dim", "chunk_size", "alibi", "soft_cap", "sinks")

    def __init__(self, dim: int, num_heads: int, num_kv_heads: int | None = None, **options: Any):
        given = {"num_kv_heads": num_kv_heads, **options}
        for name in self.without:
            if given.get(name):
                raise ValueError(f"`{name}` has no meaning in {type(self).__name__}; got {given[name]!r}.")
        options = {name: value for name, value in options.items() if name not in self.without}
        super().__init__(dim, num_heads, num_kv_heads, **options)
        self.dim = dim
        self._hand_on(options)

    def _require_causal(self, cache) -> None:
        """Raises ValueError for a cache of a layer that looks ahead."""
        if cache is not None and not self.causal:
            raise ValueError("a `cache` needs `causal=True`: without it a position sees what is not there yet.")


def of_keys(mask) -> bool:
    """Whether a mask `(B, H, T, S)` is None, or the same for all heads and queries."""
    return mask is None or (mask.shape[1] == 1 and mask.shape[2] == 1)


def require_keys(mask, key) -> None:
    """Raise ValueError unless a mask `(B, 1, 1, S)` has a number for each of the keys `(B, K, S, D)`."""
    batch = None if mask.shape[0] == 1 else key.shape[0]
    require_shape(mask[:, 0, 0], (batch, key.shape[2]), "attention_mask")
