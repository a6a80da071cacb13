"""One vector of many."""

from __future__ import annotations

from keras import ops


def _mean(x):
    return ops.mean(x, axis=1)


def _max(x):
    return ops.max(x, axis=1)


REDUCTIONS = {"mean": _mean, "max": _max, "mean_max": lambda x: (_mean(x) + _max(x)) / 2}
"""Functions from tokens `(B, N, D)` to vectors `(B, D)`, by name."""
