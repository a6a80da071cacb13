"""Dataclasses from their fields, as JSON holds them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_type_hints

T = TypeVar("T")


def from_json(value: Any, hint: Any) -> Any:
    """A value of the annotated type, from JSON's: a list becomes a tuple, an object the dataclass of these fields.

    Args:
        value: anything; what is neither a list nor a dict is returned as it is.
        hint: an annotation, resolved; of a union, the dataclass in it counts. One that has a class method `of` is made
            by that.

    Raises:
        ValueError: for a field that the dataclass does not have.
    """
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, dict):
        for kind in (hint, *get_args(hint)):
            if dataclasses.is_dataclass(kind) and isinstance(kind, type):
                return kind.of(value) if hasattr(kind, "of") else from_fields(kind, value)
    return value


def from_fields(kind: type[T], fields: Mapping[str, Any]) -> T:
    """The dataclass of these fields, which may be of JSON's types.

    Raises:
        ValueError: for a field that it does not have.
    """
    hints = get_type_hints(kind)
    for name in fields:
        if name not in hints:
            raise ValueError(f"{kind.__name__} has no field `{name}`; it has {', '.join(hints)}.")
    return kind(**{name: from_json(value, hints[name]) for name, value in fields.items()})
