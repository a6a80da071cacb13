"""The registry: every model class with a tiny config to test it by, and every named variant."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, overload

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

Builder = Callable[..., Model]

VARIANTS: dict[str, Builder] = {}
"""Builders by name."""

HUB_IDS: dict[str, tuple[str, ...]] = {}
"""Checkpoints on the hub of each variant's size."""


def register_model(*tiny: Config) -> Callable[[type], type]:
    """Class decorator: registers a model class, with Keras's serialization too."""

    def decorate(cls):
        MODELS[cls.__name__] = Entry(cls, tiny)
        return register_serializable(cls)

    return decorate


def register_variant(*hub_ids: str) -> Callable[[Builder], Builder]:
    """Decorator of a builder function, `builder(**overrides) -> model`.

    Args:
        hub_ids: checkpoints on the hub of models of this size.
    """

    def decorate(builder: Builder) -> Builder:
        VARIANTS[builder.__name__] = builder
        HUB_IDS[builder.__name__] = hub_ids
        return builder

    return decorate


@overload
def list_models() -> list[str]: ...
@overload
def list_models(*, hub_ids: Literal[False]) -> list[str]: ...
@overload
def list_models(*, hub_ids: Literal[True]) -> dict[str, tuple[str, ...]]: ...
def list_models(*, hub_ids: bool = False) -> list[str] | dict[str, tuple[str, ...]]:
    """The names that `create_model` knows.

    Args:
        hub_ids: whether to tell, for each name, of which checkpoints on the hub `load_pretrained` gives such a model.
    """
    names = sorted(VARIANTS)
    return {name: HUB_IDS[name] for name in names} if hub_ids else names


def create_model(name: str, **overrides: Any) -> Model:
    """The variant of that name, with fields of its config replaced.

    Raises:
        ValueError: if there is no variant of that name.
    """
    if name not in VARIANTS:
        raise ValueError(f"no model {name!r}; there are {', '.join(list_models())}.")
    return VARIANTS[name](**overrides)
