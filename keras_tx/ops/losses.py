"""Losses of tokens, sequences and spans, as Transformers computes them; all in float32."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_tx.ops.checks import known_values, require_below, require_integer, require_shape
from keras_tx.ops.replicas import mean

IGNORED = -100
"""The label of a position that does not count, as in Transformers."""


def weighted(values, sample_weight):
    """Values times the weights of their samples.

    The mean is taken over the values as they were, whatever their weights add up to, as in Keras: a weight of 2 for
    every sample is twice the loss.

    Args:
        values: `(B, ...)`.
        sample_weight: `(B,)`, or of more of the values' first axes; None for 1.

    Raises:
        ValueError: for weights of another shape.
    """
    if sample_weight is None:
        return values
    weights = ops.cast(sample_weight, "float32")
    if len(weights.shape) > len(values.shape) and weights.shape[-1] == 1:
        weights = ops.squeeze(weights, -1)
    require_shape(weights, tuple(values.shape)[: len(weights.shape)], "sample_weight")
    return values * ops.reshape(weights, (*ops.shape(weights), *(1,) * (len(values.shape) - len(weights.shape))))


def as_classes(labels, rows: tuple[int | None, ...], name: str = "labels"):
    """Labels that name a class each, int32 of the shape `rows`.

    Args:
        labels: integers, or whole numbers in floating point as tables have them; `rows`, or `(*rows, 1)`.
        rows: the shape of the logits without their last axis.
        name: what an error calls the labels.

    Raises:
        ValueError: for labels of another shape, and for known ones that are no whole numbers. Inside a compiled graph,
            which cannot raise, those become -1.
    """
    labels = ops.convert_to_tensor(labels)
    if len(labels.shape) == len(rows) + 1 and labels.shape[-1] == 1:
        labels = ops.squeeze(labels, -1)
    require_shape(labels, rows, name)
    dtype = keras.backend.standardize_dtype(labels.dtype)
    if "float" in dtype:
        values, whole = known_values(labels), ops.equal(labels, ops.floor(labels))
        if values is not None and (values != values.round()).any():
            raise ValueError(
                f"`{name}` must be whole numbers, the classes; got {dtype} with values from {values.min()} to "
                f"{values.max()}."
            )
        return ops.where(whole, ops.cast(labels, "int32"), -1)
    if dtype != "bool":
        require_integer(labels, name)
    return ops.cast(labels, "int32")


def token_cross_entropy(
    logits, labels, name: str = "labels", *, label_smoothing: float = 0.0, sample_weight: Any = None
):
    """Mean cross-entropy in nats over the labels that count.

    Args:
        logits: `(..., V)`; the softmax is taken in float32.
        labels: as `as_classes` takes them, `(...)`; `IGNORED` (-100) does not count.
        name: what an error calls the labels.
        label_smoothing: the share of each label that all classes have between them (Szegedy et al. 2016, section 7).
        sample_weight: as `weighted` takes it.

    Returns:
        float32 scalar; 0 if no label counts.

    Raises:
        ValueError: if `labels` are not whole numbers, not shaped as `logits` without the last axis, or known to lie
            outside [0, V). Inside a compiled graph, which cannot raise, those give NaN.
    """
    labels = as_classes(labels, tuple(logits.shape)[:-1], name)
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
    losses = weighted(losses, sample_weight)
    weights = ops.where(inside, ops.cast(counts, "float32"), float("nan"))
    return mean(losses, weights)


def next_token_loss(logits, labels, *, sample_weight: Any = None):
    """The mean cross-entropy of each token given those before it.

    Args:
        logits: `(..., T, V)`; those at the last position are not used.
        labels: the tokens themselves, `(..., T)`, unshifted; `IGNORED` where they do not count.
        sample_weight: of the rows or of the labels, as `weighted` takes it.
    """
    labels = as_classes(labels, tuple(logits.shape)[:-1])
    if sample_weight is not None:
        sample_weight = ops.convert_to_tensor(sample_weight)
        if len(sample_weight.shape) > len(labels.shape):
            sample_weight = ops.squeeze(sample_weight, -1)
        if len(sample_weight.shape) == len(labels.shape):
            sample_weight = _following(sample_weight, 0)
    # The labels move, not the logits: those are V times as many numbers.
    return token_cross_entropy(logits, _following(labels, IGNORED), sample_weight=sample_weight)


def _following(x, last):
    """What stands one place further on, `(..., T)`, and `last` at the end."""
    before = [(0, 0)] * (len(x.shape) - 1)
    return ops.pad(x[..., 1:], [*before, (0, 1)], constant_values=last)


def span_loss(
    start_logits, end_logits, start_positions, end_positions, *, start_weight: Any = None, end_weight: Any = None
):
    """The mean of the cross-entropies of a span's first and last position.

    Args:
        start_logits, end_logits: `(B, T)`.
        start_positions, end_positions: integers, `(B,)`. From T on, where the span was cut off, they do not count;
            below 0 they are taken as 0.
        start_weight, end_weight: of each text, `(B,)`.
    """
    starts = _position_loss(start_logits, start_positions, "start_positions", start_weight)
    ends = _position_loss(end_logits, end_positions, "end_positions", end_weight)
    return (starts + ends) / 2


def _position_loss(logits, positions, name: str, weight):
    positions = _within(as_classes(positions, tuple(logits.shape)[:-1], name), ops.shape(logits)[-1])
    return token_cross_entropy(logits, positions, name, sample_weight=weight)


def _within(positions, length):
    positions = ops.maximum(positions, 0)
    return ops.where(positions < length, positions, IGNORED)


def squared_error(predictions, labels, *, sample_weight: Any = None):
    """The mean squared error.

    Args:
        predictions: `(B, N)`.
        labels: `(B, N)`, or `(B,)` where N is 1.
        sample_weight: as `weighted` takes it.
    """
    if len(labels.shape) < len(predictions.shape) and predictions.shape[-1] == 1:
        labels = ops.expand_dims(labels, -1)
    require_shape(labels, tuple(predictions.shape), "labels")
    errors = ops.square(ops.cast(predictions, "float32") - ops.cast(labels, "float32"))
    return mean(weighted(errors, sample_weight))


def binary_cross_entropy(logits, labels, *, sample_weight: Any = None):
    """The mean cross-entropy, in nats, of N independent yes-or-no labels a row.

    Args:
        logits: `(B, N)`.
        labels: `(B, N)`, 0 to 1.
        sample_weight: as `weighted` takes it.
    """
    require_shape(labels, tuple(logits.shape), "labels")
    logits, labels = ops.cast(logits, "float32"), ops.cast(labels, "float32")
    return mean(weighted(ops.binary_crossentropy(labels, logits, from_logits=True), sample_weight))


def token_binary_cross_entropy(logits, labels, *, mask: Any = None, sample_weight: Any = None):
    """The mean binary cross-entropy, in nats, over the labels that count.

    Args:
        logits: `(..., T)`.
        labels: as `as_classes` takes them, `(..., T)`, 0 or 1; `IGNORED` (-100) does not count.
        mask: `(..., T)`, 0 where a label does not count.
        sample_weight: as `weighted` takes it.

    Returns:
        float32 scalar; 0 if no label counts.

    Raises:
        ValueError: if `labels` are not shaped as `logits`, or known to be others. Inside a compiled graph, which cannot
            raise, those give NaN.
    """
    labels = as_classes(labels, tuple(logits.shape))
    counts = ops.not_equal(labels, IGNORED)
    if mask is not None:
        counts = ops.logical_and(counts, ops.cast(mask, "bool"))
    known = ops.where(counts, labels, 0)
    require_below(known, 2, "labels", "classes")
    inside = ops.logical_and(known >= 0, known < 2)
    logits, wanted = ops.cast(logits, "float32"), ops.cast(known, "float32")
    losses = weighted(ops.softplus(logits) - wanted * logits, sample_weight)
    return mean(losses, ops.where(inside, ops.cast(counts, "float32"), float("nan")))
