"""The base of every layer: a config that is the constructor's arguments."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

import keras

_OF_KERAS = ("name", "dtype", "trainable", "autocast", "activity_regularizer")
"""Arguments that Keras's own config has."""

register = keras.saving.register_keras_serializable("keras_tx")
"""Class decorator: the class can be found again when a `.keras` file that holds it is loaded."""


class Layer(keras.layers.Layer):
    """A Keras layer that keeps each constructor argument as the attribute of that name.

    `get_config` follows from that. Sublayers inherit the dtype policy by `dtype=self.dtype_policy`. A subclass whose
    constructor gives `**options` on to its base says so by `_hand_on`.
    """

    _handed_on: tuple[str, ...] = ()

    def _hand_on(self, options: Mapping[str, Any]) -> None:
        """Keeps what is given on to the base's constructor, for `get_config`."""
        self._handed_on = tuple(name for name in options if name not in _OF_KERAS)

    def get_config(self) -> dict:
        own = {name: getattr(self, name) for name in (*_argument_names(type(self)), *self._handed_on)}
        return {**super().get_config(), **{name: plain(value) for name, value in own.items()}}


def _argument_names(cls: type) -> list[str]:
    parameters = inspect.signature(cls).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]


def plain(value):
    """Initializers as Keras's config dicts, dataclasses as their fields, in tuples too; everything else as it is."""
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return keras.saving.serialize_keras_object(value) if hasattr(value, "get_config") else value
