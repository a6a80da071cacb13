"""A trained multi-head model made a grouped-query one."""

from __future__ import annotations

from typing import Any, TypeVar

import keras
from keras import ops

from keras_tx.models.base import Model
from keras_tx.ops.checks import require_divides, require_positive

AnyModel = TypeVar("AnyModel", bound=Model)


def to_grouped_query(model: AnyModel, num_kv_heads: int) -> AnyModel:
    """A copy of a model whose query heads share fewer key/value heads, from which to train on.

    Each new key and value head is the mean of those it stands for, neighbours (Ainslie et al. 2023, section 2.1); all
    other weights are as they were. The given model stays as it is.

    Args:
        model: one whose config has `num_kv_heads`.
        num_kv_heads: a divisor of the model's key/value heads; 1 for multi-query attention.

    Raises:
        ValueError: for a model without such a field, and a number that is no such divisor.
    """
    config: Any = model.config
    if not hasattr(config, "num_kv_heads"):
        raise ValueError(f"`model` must have `num_kv_heads` in its config, as a GPT has; got a {type(model).__name__}.")
    require_positive(num_kv_heads=num_kv_heads)
    heads = config.num_kv_heads or config.num_heads
    require_divides(heads, num_kv_heads, "key/value heads", "num_kv_heads")
    pooled = type(model)(config.replace(num_kv_heads=num_kv_heads), name=model.name, dtype=model.dtype_policy)
    before = model.weights_by_path()
    for path, weight in pooled.weights_by_path().items():
        old = before[path]
        weight.assign(old if old.shape == weight.shape else _pooled(old, heads, num_kv_heads))
    return pooled


def _pooled(weight: keras.Variable, heads: int, num_kv_heads: int):
    """The means over neighbouring heads of a kernel `(D, heads * width)` or a bias `(heads * width,)`."""
    *rows, columns = weight.shape
    grouped = ops.reshape(weight, (*rows, num_kv_heads, heads // num_kv_heads, columns // heads))
    return ops.reshape(ops.mean(grouped, axis=-2), (*rows, -1))
