"""Position encodings without weights: sinusoids, and buckets of offsets."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from keras import ops

from keras_tx.ops.checks import require_divides, require_positive


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
    require_divides(dim, 2, "dim", "pair of channels")
    rates = ops.power(float(base), -ops.arange(0, dim, 2, dtype="float32") / dim)
    return ops.expand_dims(ops.cast(positions, "float32"), -1) * rates
