"""Comparing embeddings: similarities, and the losses that train them."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_tx.ops.checks import require_shape
from keras_tx.ops.losses import token_cross_entropy
from keras_tx.ops.replicas import gathered, mean

SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")
"""By the names that sentence-transformers has; of the last two the distance, negative."""


def similarity(a, b, name: str = "cosine"):
    """How similar each of some vectors is to each of others.

    Args:
        a: `(N, D)`.
        b: `(M, D)`.
        name: one of `SIMILARITIES`.

    Returns:
        `(N, M)`, float32.

    Raises:
        ValueError: for another name, or vectors of another width.
    """
    if name not in SIMILARITIES:
        raise ValueError(f"`similarity` must be one of {', '.join(SIMILARITIES)}; got {name!r}.")
    require_shape(b, (None, a.shape[-1]), "b")
    a, b = ops.cast(a, "float32"), ops.cast(b, "float32")
    if name in ("cosine", "dot"):
        a, b = (unit(a), unit(b)) if name == "cosine" else (a, b)
        return ops.matmul(a, ops.transpose(b))
    return -distance(a[:, None], b[None], name)


def distance(a, b, name: str = "euclidean"):
    """How far vectors `(..., D)` are from others of the same number: `(...)`, float32.

    Args:
        a, b: `(..., D)`.
        name: "euclidean", "manhattan", or "cosine", of which the distance is 1 less the similarity.
    """
    a, b = ops.cast(a, "float32"), ops.cast(b, "float32")
    if name == "cosine":
        return 1.0 - ops.sum(unit(a) * unit(b), axis=-1)
    if name == "manhattan":
        return ops.sum(ops.abs(a - b), axis=-1)
    if name != "euclidean":
        raise ValueError(f"`distance` must be euclidean, manhattan or cosine; got {name!r}.")
    squares = ops.sum(ops.square(a - b), axis=-1)
    positive = squares > 0  # the root's gradient at 0 is infinite
    return ops.where(positive, ops.sqrt(ops.where(positive, squares, 1.0)), 0.0)


def unit(x):
    """Vectors `(..., D)` scaled to length 1."""
    squares = ops.sum(ops.square(x), axis=-1, keepdims=True)
    return x * ops.rsqrt(ops.maximum(squares, 1e-24))


def multiple_negatives_ranking(embeddings, *, scale: float = 20.0, name: str = "cosine"):
    """The mean cross-entropy of finding each row's second text among the others' (Henderson et al. 2017, section 4.4).

    Each text is compared with the second texts of all rows, and with all further ones, which are hard negatives. On
    several replicas the texts of all are compared.

    Args:
        embeddings: `(B, C, D)`: of each row a text, the one that belongs to it, and C - 2 that do not.
        scale: what the similarities are multiplied by.
        name: of the similarity.
    """
    anchors, others = embeddings[:, 0], ops.moveaxis(embeddings[:, 1:], 1, 0)
    everywhere, before = gathered(others, axis=1)
    candidates = ops.reshape(everywhere, (-1, embeddings.shape[-1]))
    scores = scale * similarity(anchors, candidates, name)
    labels = before + ops.arange(ops.shape(anchors)[0], dtype="int32")
    return token_cross_entropy(scores, labels)


def cosine_similarity_loss(embeddings, scores):
    """The mean squared error of the cosine of two texts (Reimers and Gurevych 2019, section 3).

    Args:
        embeddings: `(B, 2, D)`.
        scores: `(B,)`, from -1 to 1.
    """
    require_shape(scores, (embeddings.shape[0],), "scores")
    cosine = 1.0 - distance(embeddings[:, 0], embeddings[:, 1], "cosine")
    return mean(ops.square(cosine - ops.cast(scores, "float32")))


def triplet_loss(embeddings, *, margin: float = 5.0, name: str = "euclidean"):
    """The mean of how much nearer the third text of a row is than the second, margin added, if it is.

    Source: Reimers and Gurevych 2019, section 3.

    Args:
        embeddings: `(B, 3, D)`: of each row a text, one that belongs to it, and one that does not.
        margin: by how much the third is to be farther.
        name: of the distance.
    """
    near, far = (distance(embeddings[:, 0], embeddings[:, i], name) for i in (1, 2))
    return mean(ops.relu(near - far + margin))


def matryoshka(loss, embeddings, dims: Any, weights: Any):
    """The weighted sum of a loss of the embeddings' first entries (Kusupati et al. 2022).

    Args:
        loss: a function of embeddings.
        embeddings: `(B, C, D)`.
        dims: how many entries, of each term.
        weights: of each term.
    """
    return sum(weight * loss(embeddings[..., :dim]) for dim, weight in zip(dims, weights, strict=True))
