"""Attention masks as boolean functions of positions: True where a query may look.

Each takes query positions `(..., T)` and key positions `(..., S)`, of any integer dtype, and gives `(..., T, S)`;
padding, causality, windows and cached decoding differ only in the positions they pass.
"""

from __future__ import annotations

from keras import ops


def causal(query_positions, key_positions):
    """A query looks at its own position and back."""
    query, key = _grid(query_positions, key_positions)
    return key <= query


def window(query_positions, key_positions, size: int):
    """A query looks less than `size` positions far, to both sides.

    Raises:
        ValueError: if `size` is less than 1.
    """
    if size < 1:
        raise ValueError(f"`size` must be at least 1, the query's own position; got {size}.")
    query, key = _grid(query_positions, key_positions)
    return ops.abs(query - key) < size


def prefix(query_positions, key_positions, length):
    """Causal, except that everything looks at the first `length` positions (prefix-LM, Raffel et al. 2020)."""
    query, key = _grid(query_positions, key_positions)
    return ops.logical_or(key <= query, key < length)


def segments(query_segments, key_segments):
    """A query looks only inside its own segment: for sequences packed into one row."""
    query, key = _grid(query_segments, key_segments)
    return query == key


def combine(*masks):
    """The positions that every mask allows; None allows all, and None comes back if all are None."""
    given = [mask for mask in masks if mask is not None]
    if not given:
        return None
    allowed = given[0]
    for mask in given[1:]:
        allowed = ops.logical_and(allowed, mask)
    return allowed


def per_head(mask):
    """A mask as it broadcasts to `(B, H, T, S)`.

    Args:
        mask: `(B, S)`, which keys are real; `(B, T, S)`, which keys each query sees; or `(B, H, T, S)`. Boolean, or
            numbers that are 0 where nobody may look.

    Raises:
        ValueError: for any other rank.
    """
    mask = ops.cast(mask, "bool")
    rank = len(mask.shape)
    if rank == 2:
        return ops.expand_dims(mask, (1, 2))
    if rank == 3:
        return ops.expand_dims(mask, 1)
    if rank == 4:
        return mask
    raise ValueError(
        f"`attention_mask` must be (batch, keys), (batch, queries, keys) or (batch, heads, queries, keys); "
        f"got shape {tuple(mask.shape)}."
    )


def _grid(query_positions, key_positions):
    return ops.expand_dims(query_positions, -1), ops.expand_dims(key_positions, -2)
