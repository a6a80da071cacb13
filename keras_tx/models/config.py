"""The base of every model's config: a frozen dataclass that goes to JSON and back."""

from __future__ import annotations

import dataclasses
from typing import Any, Self


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A model's hyperparameters. Subclasses check theirs in `__post_init__`."""

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, in JSON's types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """The config of these fields, the others at their defaults.

        Raises:
            ValueError: for a field the config does not have.
        """
        return cls().replace(**fields)

    def replace(self, **fields: Any) -> Self:
        """A copy with other values in some fields.

        Raises:
            ValueError: for a field the config does not have.
        """
        known = [field.name for field in dataclasses.fields(self)]
        for name in fields:
            if name not in known:
                raise ValueError(f"{type(self).__name__} has no field `{name}`; it has {', '.join(known)}.")
        return dataclasses.replace(self, **fields)
