"""Losses of tokens, sequences and spans, as Transformers computes them; all in float32."""

from __future__ import annotations

from keras import ops

from keras_tx.ops.checks import require_below, require_integer, require_shape
from keras_tx.ops.replicas import mean

IGNORED = -100
"""The label of a position that does not count, as in Transformers."""


def token_cross_entropy(logits, labels, name: str = "labels", *, label_smoothing: float = 0.0):
    """Mean cross-entropy in nats over the labels that count.

    Args:
        logits: `(..., V)`; the softmax is taken in float32.
        labels: integers, `(...)`; `IGNORED` (-100) does not count.
        name: what an error calls the labels.
        label_smoothing: the share of each label that all classes have between them (Szegedy et al. 2016, section 7).

    Returns:
        float32 scalar; 0 if no label counts.

    Raises:
        ValueError: if `labels` are not integers, not shaped as `logits` without the last axis, or known to lie outside
            [0, V). Inside a compiled graph, which cannot raise, those give NaN.
    """
    require_integer(labels, name)
    require_shape(labels, tuple(logits.shape)[:-1], name)
    classes = ops.shape(logits)[-1]
    counts = ops.not_equal(labels, IGNORED)
    known = ops.where(counts, labels, 0)
    require_below(known, classes, name, "classes")
    inside = ops.logical_and(known >= 0, known < classes)
    logits = ops.cast(logits, "float32")
    losses = ops.sparse_categorical_crossentropy(ops.where(inside, known, 0), logits, from_logits=True)
    if label_smoothing:
        of_all = ops.logsumexp(logits, axis=-1) - ops.mean(logits, axis=-1)
        losses = (1 - label_smoothing) * losses + label_smoothing * of_all
    weights = ops.where(inside, ops.cast(counts, "float32"), float("nan"))
    return mean(losses, weights)


def next_token_loss(logits, labels):
    """The mean cross-entropy of each token given those before it.

    Args:
        logits: `(..., T, V)`; those at the last position are not used.
        labels: the tokens themselves, `(..., T)`, unshifted; `IGNORED` where they do not count.
    """
    # The labels move, not the logits: those are V times as many numbers.
    before = [(0, 0)] * (len(labels.shape) - 1)
    following = ops.pad(labels[..., 1:], [*before, (0, 1)], constant_values=IGNORED)
    return token_cross_entropy(logits, following)


def span_loss(start_logits, end_logits, start_positions, end_positions):
    """The mean of the cross-entropies of a span's first and last position.

    Args:
        start_logits, end_logits: `(B, T)`.
        start_positions, end_positions: integers, `(B,)`. From T on, where the span was cut off, they do not count;
            below 0 they are taken as 0.
    """
    length = ops.shape(start_logits)[-1]
    starts = token_cross_entropy(start_logits, _within(start_positions, length), "start_positions")
    ends = token_cross_entropy(end_logits, _within(end_positions, length), "end_positions")
    return (starts + ends) / 2


def _within(positions, length):
    positions = ops.maximum(positions, 0)
    return ops.where(positions < length, positions, IGNORED)


def squared_error(predictions, labels):
    """The mean squared error.

    Args:
        predictions: `(B, N)`.
        labels: `(B, N)`, or `(B,)` where N is 1.
    """
    if len(labels.shape) < len(predictions.shape) and predictions.shape[-1] == 1:
        labels = ops.expand_dims(labels, -1)
    require_shape(labels, tuple(predictions.shape), "labels")
    return mean(ops.square(ops.cast(predictions, "float32") - ops.cast(labels, "float32")))


def binary_cross_entropy(logits, labels):
    """The mean cross-entropy, in nats, of N independent yes-or-no labels a row.

    Args:
        logits: `(B, N)`.
        labels: `(B, N)`, 0 to 1.
    """
    require_shape(labels, tuple(logits.shape), "labels")
    logits, labels = ops.cast(logits, "float32"), ops.cast(labels, "float32")
    return mean(ops.binary_crossentropy(labels, logits, from_logits=True))
