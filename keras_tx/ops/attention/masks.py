"""Attention masks as boolean functions of positions: True where a query may look.

Each takes query positions `(..., T)` and key positions `(..., S)`, of any integer dtype, and gives `(..., T, S)`;
padding, causality, windows and cached decoding differ only in the positions they pass. `combine` and `either` join
them, and `MultiHeadAttention` takes a function of two positions for its mask:

    def mask(query, key):
        near = masks.either(masks.window(query, key, 5), masks.first(query, key, 2))
        return masks.combine(masks.causal(query, key), near)
"""

from __future__ import annotations

from collections.abc import Callable

from keras import ops

from keras_tx.ops.checks import is_boolean, known_values, require_integer, require_positive, require_rank


def causal(query_positions, key_positions):
    """A query looks at its own position and back."""
    query, key = _grid(query_positions, key_positions)
    return key <= query


def window(query_positions, key_positions, size: int):
    """A query looks less than `size` positions far, to both sides.

    Raises:
        ValueError: if `size` is less than 1.
    """
    require_positive(size=size)
    query, key = _grid(query_positions, key_positions)
    return ops.abs(query - key) < size


def dilated(query_positions, key_positions, step: int):
    """A query looks at every `step`-th position, counted from its own.

    Raises:
        ValueError: if `step` is less than 1.
    """
    require_positive(step=step)
    query, key = _grid(query_positions, key_positions)
    return (query - key) % step == 0


def first(query_positions, key_positions, count: int):
    """Every query looks at the first `count` positions: beside a window, StreamingLLM's sinks (Xiao et al. 2023).

    Raises:
        ValueError: if `count` is less than 1.
    """
    require_positive(count=count)
    return _keys(query_positions, key_positions) < count


def prefix(query_positions, key_positions, length):
    """Causal, except that everything looks at the first `length` positions (prefix-LM, Raffel et al. 2020).

    `length` is a number, or one for each sample, `(B,)`.
    """
    query, key = _grid(query_positions, key_positions)
    return ops.logical_or(key <= query, ops.less(key, _per_sample(length)))


def padding(query_positions, key_positions, length):
    """A query looks at the first `length` positions, a number or `(B,)`; those after them are padding."""
    return ops.less(_keys(query_positions, key_positions), _per_sample(length))


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


def with_keys(mask, real):
    """A mask that broadcasts to `(B, H, T, S)`, or None, with what a mask of keys, `(B, S)`, or None, hides."""
    return combine(mask, None if real is None else per_head(real))


def either(*masks):
    """The positions that any mask allows.

    Raises:
        ValueError: for None, which allows all.
    """
    if not masks or any(mask is None for mask in masks):
        raise ValueError("`either` needs masks, none of them None, which would allow all positions.")
    allowed = masks[0]
    for mask in masks[1:]:
        allowed = ops.logical_or(allowed, mask)
    return allowed


def per_head(mask):
    """A mask as it broadcasts to `(B, H, T, S)`.

    Args:
        mask: `(B, S)`, which keys are real; `(B, T, S)`, which keys each query sees; or `(B, H, T, S)`. Boolean, or
            numbers that are 0 where nobody may look.

    Raises:
        ValueError: for any other rank, and for negative numbers, as masks that are added to scores have them.
    """
    if not is_boolean(mask):
        values = known_values(mask)
        if values is not None and values.size and values.min() < 0:
            raise ValueError(
                f"`attention_mask` must be True, or not 0, where a query may look; got {values.min()}. What is to be "
                "added to the scores is `bias`."
            )
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


def given_to_layer(attention_mask, packed, positions: Callable[[], tuple]):
    """Returns a layer's mask and segments as one mask, which broadcasts to `(B, H, T, S)`; None for neither.

    Args:
        attention_mask: as `per_head` takes it, or a function of both positions that gives `(T, S)` or one of these.
        packed: the layer's `segments`, integers `(B, S)`: a query looks only at keys of its own.
        positions: gives those of the queries, `(T,)`, and of the keys, `(S,)`, counted from 0, where they are needed.

    Raises:
        ValueError: as `per_head`, and for `segments` of another rank or dtype.
    """
    if callable(attention_mask):
        attention_mask = attention_mask(*positions())
        if len(attention_mask.shape) == 2:
            attention_mask = ops.expand_dims(attention_mask, 0)
    mask = None if attention_mask is None else per_head(attention_mask)
    if packed is None:
        return mask
    require_rank(packed, 2, "segments", "(batch, keys)")
    require_integer(packed, "segments")
    own = ops.take(packed, positions()[0], axis=1)
    return combine(mask, per_head(segments(own, packed)))


def _per_sample(length):
    """`(B,)` as it broadcasts to `(B, T, S)`; a number as it is."""
    length = ops.cast(length, "int32")
    return ops.expand_dims(length, (1, 2)) if len(length.shape) else length


def _keys(query_positions, key_positions):
    """The key's position for each query and key."""
    query, key = _grid(query_positions, key_positions)
    return key + 0 * query


def _grid(query_positions, key_positions):
    return ops.expand_dims(query_positions, -1), ops.expand_dims(key_positions, -2)
