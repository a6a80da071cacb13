"""What disentangled attention adds to the scores: products of contents and of relative positions (He et al. 2021).

Shape letters as in `attention`, and P for the vectors of relative positions: twice as many as offsets are told apart in
one direction.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from keras import ops

from keras_tx.ops.attention.positions import by_key, relative_offsets


def content_to_position(query, vectors, rows, start, keys):
    """The products of each query and the vector of its offset from each key, `(B, H, T, S)`.

    Args:
        query: `(B, H, T, D)`.
        vectors: keys of the relative positions, `(H, P, D)`.
        rows: a function of offsets, the query's position less the key's, that gives rows of `vectors`.
        start: the position of the first query; that of the first key is 0.
        keys: S.
    """
    found = rows(-relative_offsets(start, ops.shape(query)[2], keys))
    return by_key(ops.einsum("bhtd,hrd->bhtr", query, ops.take(vectors, found, axis=1)), keys)


def position_to_content(key, vectors, rows, start, queries):
    """The products of each key and the vector of its offset from each query, `(B, H, T, S)`.

    Args:
        key: `(B, H, S, D)`.
        vectors: queries of the relative positions, `(H, P, D)`.
        rows, start: as `content_to_position` takes them.
        queries: T.
    """
    found = rows(relative_offsets(-start, ops.shape(key)[2], queries))
    by_query = by_key(ops.einsum("bhsd,hrd->bhsr", key, ops.take(vectors, found, axis=1)), queries)
    return ops.swapaxes(by_query, 2, 3)


def relative_rows(offsets, max_distance: int, num_buckets: int | None = None):
    """The row of each offset in a table of relative positions, int32: those further off have those of the ends.

    The table has a row for each offset from -k to k - 1, k being `max_distance`; or, with `num_buckets`, for each
    bucket from -k to k - 1, k being `num_buckets`.

    Args:
        offsets: the query's position less the key's, int32 of any shape.
        max_distance: the offset from which on all are alike.
        num_buckets: of each direction. Up to half as many offsets have one each; those further off share what is left
            by their logarithms, up to `max_distance` (DeBERTaV2, He et al. 2020). Where no offset is further off than
            half, all beyond are alike.
    """
    if num_buckets is None:
        return ops.clip(offsets + max_distance, 0, 2 * max_distance - 1)
    table = _buckets_by_distance(num_buckets, max_distance)
    buckets = ops.take(ops.convert_to_tensor(table), ops.minimum(ops.abs(offsets), len(table) - 1), axis=0)
    return ops.clip(ops.sign(offsets) * buckets + num_buckets, 0, 2 * num_buckets - 1)


@lru_cache
def _buckets_by_distance(num_buckets: int, max_distance: int) -> np.ndarray:
    """The bucket of each distance from 0 on, int32, up to one from where on rows do not differ.

    In float32, as in Transformers: at a whole number the logarithms' rounding decides.
    """
    half = num_buckets // 2
    exact = np.arange(half + 1)
    if max_distance - 1 <= half:
        return exact.astype("int32")
    widest = (max_distance - 1) / half
    last = math.ceil(half * widest ** ((num_buckets - half) / max(half - 1, 1))) + 1
    further = np.arange(half + 1, last + 1).astype("float32") / np.float32(half)
    ranks = np.log(further) / np.log(np.float32(widest)) * np.float32(half - 1)
    return np.concatenate([exact, np.ceil(ranks) + half]).astype("int32")
