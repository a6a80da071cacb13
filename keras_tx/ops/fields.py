"""Dataclasses from their fields, as JSON holds them."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args, get_type_hints


def from_json(value: Any, hint: Any) -> Any:
    """A value of the annotated type, from JSON's: a list becomes a tuple, an object the dataclass of these fields.

    Args:
        value: anything; what is neither a list nor a dict is returned as it is.
        hint: an annotation, resolved; of a union, the dataclass in it counts.

    Raises:
        ValueError: for a field that the dataclass does not have.
    """
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, dict):
        for kind in (hint, *get_args(hint)):
            if dataclasses.is_dataclass(kind) and isinstance(kind, type):
                return _made(kind, value)
    return value


def _made(kind: type, fields: dict[str, Any]) -> Any:
    hints = get_type_hints(kind)
    for name in fields:
        if name not in hints:
            raise ValueError(f"{kind.__name__} has no field `{name}`; it has {', '.join(hints)}.")
    return kind(**{name: from_json(value, hints[name]) for name, value in fields.items()})
