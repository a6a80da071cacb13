"""Labels and weights of samples as `fit` is given them, by name; and checks of what a compiled step cannot refuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops


def labels_by_name(y, targets: Mapping[str, str]) -> dict[str, Any]:
    """The labels by name, without those not given.

    Args:
        y: by the names of the labels or of their logits; in the order of the targets; or the labels themselves.
        targets: of each of the logits the name of its labels.

    Raises:
        ValueError: for other names, or labels that are not named where there are several.
    """
    names = list(targets.values())
    if isinstance(y, dict):
        y = {targets.get(name, name): of for name, of in y.items()}
    elif isinstance(y, (list, tuple)) and len(y) == len(names) and np.ndim(y[0]):
        y = dict(zip(names, y, strict=True))
    elif y is not None and len(names) == 1:
        y = {names[0]: y}
    if y is not None and not (isinstance(y, dict) and set(y) <= set(names)):
        found = ", ".join(map(repr, y)) if isinstance(y, dict) else f"a {type(y).__name__}"
        raise ValueError(f"`y` must be a dict of {', '.join(map(repr, names))}; got {found}.")
    return {name: of for name, of in (y or {}).items() if of is not None}


def weights_by_name(sample_weight, targets: Mapping[str, str]) -> dict[str, Any]:
    """The weights of samples by the names of the labels; those that have no name are of all.

    Raises:
        ValueError: for other names.
    """
    names = list(targets.values())
    if sample_weight is None:
        return {}
    if isinstance(sample_weight, (dict, list, tuple)):
        try:
            return labels_by_name(sample_weight, targets)
        except ValueError as error:
            raise ValueError(str(error).replace("`y`", "`sample_weight`")) from None
    return dict.fromkeys(names, sample_weight)


def class_table(class_weight: Mapping[int, float]) -> np.ndarray:
    """The weights of the classes 0, 1, ..., 1 where none is given; and 1 at the end, for all others."""
    table = np.ones(max(class_weight) + 2, "float32")
    table[list(class_weight)] = list(class_weight.values())
    return table


def weights_of_classes(table: np.ndarray, labels):
    """The weight of each label by its class, of the shape of the labels."""
    labels, last = ops.cast(labels, "int32"), len(table) - 1
    known = ops.logical_and(labels >= 0, labels < last)
    return ops.take(ops.convert_to_tensor(table), ops.where(known, labels, last))


def require_classes(labels: np.ndarray, count: int, name: str, ignored: tuple[int, ...]) -> None:
    """Raises ValueError for labels that are none of so many classes, and do not say that they do not count."""
    wrong = ~np.isin(labels, ignored) & ~((labels >= 0) & (labels < count) & (labels == np.floor(labels)))
    if wrong.any():
        place = np.unravel_index(wrong.argmax(), wrong.shape)
        raise ValueError(
            f"`{name}` must be classes in [0, {count}), or {ignored[0]} where they do not count; got "
            f"{labels[place]!s} at {', '.join(map(str, place))}."
        )
