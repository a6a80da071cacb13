"""A trained multi-head model made a grouped-query one."""

from __future__ import annotations

from typing import Any, TypeVar

import keras
from keras import ops

from keras_tx.layers.attention.variants import GroupedQuery, MultiHead, Pattern, variants_of
from keras_tx.models.core.base import Model
from keras_tx.ops.checks import require_divides, require_positive

AnyModel = TypeVar("AnyModel", bound=Model)


def to_grouped_query(model: AnyModel, num_kv_heads: int) -> AnyModel:
    """A copy of a model whose query heads share fewer key/value heads in self-attention, from which to train on.

    Each new key and value head is the mean of those it stands for, neighbours (Ainslie et al. 2023, section 2.1); all
    other weights are as they were. The given model stays as it is.

    Args:
        model: one whose config has `num_kv_heads`, as GPT's, or a multi-head `attention`, as those of BERT, T5, ViT and
            the original Transformer.
        num_kv_heads: a divisor of the model's key/value heads; 1 for multi-query attention.

    Raises:
        ValueError: for another model, and a number that is no such divisor.
    """
    require_positive(num_kv_heads=num_kv_heads)
    heads = _kv_heads(model)
    require_divides(heads, num_kv_heads, "key/value heads", "num_kv_heads")
    pooled = type(model)(_regrouped(model.config, num_kv_heads), name=model.name, dtype=model.dtype_policy)
    before = model.weights_by_path()
    for path, weight in pooled.weights_by_path().items():
        old = before[path]
        weight.assign(old if old.shape == weight.shape else _pooled(old, heads, num_kv_heads))
    return pooled


def _kv_heads(model: Model) -> int:
    """Returns how many key/value heads a model has.

    Raises:
        ValueError: for a model that cannot have fewer.
    """
    fields = vars(model.config)
    variants = variants_of(fields.get("attention"))
    others = [type(variant).__name__ for variant in variants if not isinstance(variant, MultiHead)]
    groupable = "attention" in fields and not others
    if not (groupable or "num_kv_heads" in fields):
        found = f" with {others[0]} attention" if others else ""
        raise ValueError(
            "`model` must have `num_kv_heads` in its config, as a GPT has, or multi-head attention, as a BERT has; got "
            f"a {type(model).__name__}{found}."
        )
    common = fields.get("num_kv_heads") or fields["num_heads"]
    heads = {variant.fields.get("num_kv_heads") or common for variant in variants}
    if len(heads) > 1:
        raise ValueError(f"`model` must have equally many key/value heads in all layers; got {sorted(heads)}.")
    return heads.pop()


def _regrouped(config: Any, num_kv_heads: int) -> Any:
    """The config with so many key/value heads, said where it says them."""
    variants, has_field = variants_of(config.attention), "num_kv_heads" in vars(config)
    if has_field and not any(variant.fields.get("num_kv_heads") for variant in variants):
        return config.replace(num_kv_heads=num_kv_heads)
    fewer = tuple(
        GroupedQuery(**{**variant.fields, "num_kv_heads": num_kv_heads}) if isinstance(variant, MultiHead) else variant
        for variant in variants
    )
    attention: Pattern = fewer if isinstance(config.attention, tuple) else fewer[0]
    others = {"num_kv_heads": num_kv_heads} if has_field else {}
    return config.replace(attention=attention, **others)


def _pooled(weight: keras.Variable, heads: int, num_kv_heads: int):
    """The means over neighbouring heads of a kernel `(D, heads * width)` or a bias `(heads * width,)`."""
    *rows, columns = weight.shape
    grouped = ops.reshape(weight, (*rows, num_kv_heads, heads // num_kv_heads, columns // heads))
    return ops.reshape(ops.mean(grouped, axis=-2), (*rows, -1))
