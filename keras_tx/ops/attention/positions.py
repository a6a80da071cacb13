"""Position encodings without weights: sinusoids, and buckets of offsets."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from keras import ops

from keras_tx.ops.checks import require_even, require_positive


def sinusoidal(positions, dim: int, base: float = 10000.0):
    """Sinusoidal encodings (Vaswani et al. 2017, section 3.5): sine at even channels, cosine at odd ones.

    Args:
        positions: integers, `(..., T)`.
        dim: width of the encodings, even.
        base: the longest wavelength is `2 * pi * base`, in positions.

    Returns:
        float32, `(..., T, dim)`.
    """
    angles = _angles(positions, dim, base)
    pairs = ops.stack([ops.sin(angles), ops.cos(angles)], axis=-1)  # (..., T, dim/2, 2)
    return ops.reshape(pairs, (*ops.shape(angles)[:-1], dim))


def alibi(query_positions, key_positions, num_heads: int):
    """ALiBi's bias: a penalty that grows with the distance, at another slope in each head.

    Press et al. 2022, section 3; without causality, the same to both sides.

    Args:
        query_positions: integers `(..., T)`.
        key_positions: integers `(..., S)`.
        num_heads: how many slopes.

    Returns:
        float32, `(..., num_heads, T, S)`.
    """
    distances = ops.abs(ops.expand_dims(query_positions, -1) - ops.expand_dims(key_positions, -2))
    slopes = alibi_slopes(num_heads)[:, None, None]
    return -slopes * ops.expand_dims(ops.cast(distances, "float32"), -3)


def alibi_slopes(num_heads: int) -> np.ndarray:
    """The slope of each head, `(num_heads,)` float32: 2 ** (-8 i / num_heads) for i from 1 on.

    Where `num_heads` is no power of two, those of the next smaller power, then every other one of the next larger.
    """
    require_positive(num_heads=num_heads)
    power = 1 << (num_heads.bit_length() - 1)
    exponents = [*np.arange(1, power + 1) / power, *(np.arange(1, 2 * power, 2) / (2 * power))[: num_heads - power]]
    return (2.0 ** (-8 * np.array(exponents))).astype("float32")


def relative_offsets(start, queries, keys):
    """The offsets of keys from queries, least to largest: `(queries + keys - 1,)` int32.

    Queries are at `start`, `start + 1` and so on, keys at 0, 1 and so on; an offset is the key's position less the
    query's.
    """
    return ops.arange(queries + keys - 1, dtype="int32") - (start + queries - 1)


def by_key(x, keys):
    """`(B, H, T, T + S - 1)`, numbers by `relative_offsets`, as `(B, H, T, S)`, by key: the "relative shift".

    Dai et al. 2019, appendix B. Each row is moved one to the left of the row below it by a change of shape alone.
    """
    batch, heads, queries, offsets = ops.shape(x)
    flat = ops.reshape(ops.pad(x, ((0, 0), (0, 0), (0, 0), (0, 1))), (batch, heads, queries * (offsets + 1)))
    flat = flat[:, :, queries - 1 : queries - 1 + queries * offsets]
    return ops.reshape(flat, (batch, heads, queries, offsets))[..., :keys]


def by_offset(x):
    """The inverse of `by_key`: `(B, H, T, S)` as `(B, H, T, T + S - 1)`, zeros where an offset has no key."""
    queries, keys = ops.shape(x)[2:]
    # Upside down the rows move to the right. On JAX a shape of unknown lengths has to be one that `by_key` has, too.
    upside_down = ops.pad(ops.flip(x, axis=2), ((0, 0), (0, 0), (0, 0), (queries - 1, 0)))
    return ops.flip(by_key(upside_down, queries + keys - 1), axis=2)


def relative_position_buckets(offsets, num_buckets: int = 32, max_distance: int = 128, *, bidirectional: bool = True):
    """The bucket of each offset between two positions (Raffel et al. 2020, section 2.1).

    Half of the buckets are for one distance each, from 0 on; the others widen in proportion to the distance, up to
    `max_distance`, from where on all are one.

    Args:
        offsets: the key's position less the query's, integers of any shape.
        num_buckets: of both directions together, if there are two.
        max_distance: the least distance of the last bucket.
        bidirectional: whether keys after the query have buckets of their own, the upper half of all. Otherwise they
            are in bucket 0.

    Returns:
        int32, of the shape of `offsets`, in [0, num_buckets).

    Raises:
        ValueError: for too few buckets, or as many distances as buckets.
    """
    side = num_buckets // 2 if bidirectional else num_buckets
    buckets = ops.convert_to_tensor(_buckets_by_distance(side, max_distance))
    distances = ops.abs(offsets) if bidirectional else ops.maximum(-offsets, 0)
    found = ops.take(buckets, ops.minimum(distances, max_distance), axis=0)
    return found + side * ops.cast(offsets > 0, "int32") if bidirectional else found


@lru_cache
def _buckets_by_distance(count: int, max_distance: int) -> np.ndarray:
    """The bucket of the distances 0 to `max_distance`, int32.

    With E buckets of one distance each and N others, distance d >= E is in bucket E + floor(N log(d / E) /
    log(max_distance / E)). It is found in whole numbers, for a logarithm may fall short of the integer it should be.
    """
    exact = count // 2
    if not 0 < exact < max_distance:
        raise ValueError(
            f"{count} buckets a direction leave {exact} for one distance each, which must be at least 1 and less than "
            f"`max_distance` = {max_distance}."
        )
    wide = count - exact
    starts = [max_distance**k * exact ** (wide - k) for k in range(wide)]  # of the wide ones, to the power of `wide`
    wider = [exact - 1 + sum(d**wide >= start for start in starts) for d in range(exact, max_distance + 1)]
    return np.array([*range(exact), *wider], "int32")


def _angles(positions, dim: int, base: float):
    """`(..., T, dim/2)` radians: position / base ** (2i / dim)."""
    require_positive(dim=dim)
    require_even(dim=dim)
    rates = ops.power(float(base), -ops.arange(0, dim, 2, dtype="float32") / dim)
    return ops.expand_dims(ops.cast(positions, "float32"), -1) * rates
