"""The registry: every model class with a tiny config to test it by, and every named variant."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from keras_tx.layers.core.base import register as register_serializable
from keras_tx.models.core.base import Model
from keras_tx.models.core.config import Config


@dataclasses.dataclass(frozen=True)
class Entry:
    """A registered model class.

    Attributes:
        cls: the class.
        tiny: configs of tiny models with odd, pairwise different sizes; between them they reach every code path.
    """

    cls: type[Model]
    tiny: tuple[Config, ...]


MODELS: dict[str, Entry] = {}
"""Model classes by name; the contract suite runs over all of them."""

VARIANTS: dict[str, Callable[..., Model]] = {}
"""Builders by name."""


def register_model(*tiny: Config) -> Callable[[type], type]:
    """Class decorator: registers a model class, with Keras's serialization too."""

    def decorate(cls):
        MODELS[cls.__name__] = Entry(cls, tiny)
        return register_serializable(cls)

    return decorate


def register_variant(builder: Callable[..., Model]) -> Callable[..., Model]:
    """Decorator of a builder function, `builder(**overrides) -> model`."""
    VARIANTS[builder.__name__] = builder
    return builder


def list_models() -> list[str]:
    """The names that `create_model` knows."""
    return sorted(VARIANTS)


def create_model(name: str, **overrides: Any) -> Model:
    """The variant of that name, with fields of its config replaced.

    Raises:
        ValueError: if there is no variant of that name.
    """
    if name not in VARIANTS:
        raise ValueError(f"no model {name!r}; there are {', '.join(list_models())}.")
    return VARIANTS[name](**overrides)
