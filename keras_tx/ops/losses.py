"""Losses over tokens."""

from __future__ import annotations

from keras import ops

from keras_tx.ops.checks import require_integer, require_shape

IGNORED = -100
"""The label of a position that does not count, as in Transformers."""


def token_cross_entropy(logits, labels):
    """Mean cross-entropy in nats over the labels that count.

    Args:
        logits: `(..., V)`; the softmax is taken in float32.
        labels: integers, `(...)`; `IGNORED` (-100) does not count.

    Returns:
        float32 scalar; 0 if no label counts.

    Raises:
        ValueError: if `labels` are not integers, or not shaped as `logits` without the last axis.
    """
    require_integer(labels, "labels")
    require_shape(labels, tuple(logits.shape)[:-1], "labels")
    counts = ops.not_equal(labels, IGNORED)
    known = ops.where(counts, labels, 0)
    losses = ops.sparse_categorical_crossentropy(known, ops.cast(logits, "float32"), from_logits=True)
    weights = ops.cast(counts, "float32")
    return ops.sum(losses * weights) / ops.maximum(ops.sum(weights), 1.0)


def next_token_loss(logits, labels):
    """The mean cross-entropy of each token given those before it.

    Args:
        logits: `(B, T, V)`; those at the last position are not used.
        labels: the tokens themselves, `(B, T)`, unshifted; `IGNORED` where they do not count.
    """
    # The labels move, not the logits: those are V times as many numbers.
    following = ops.pad(labels[:, 1:], ((0, 0), (0, 1)), constant_values=IGNORED)
    return token_cross_entropy(logits, following)
