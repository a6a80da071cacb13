"""A model family as KerasHub keeps it: a backbone's class and its arguments, and the tasks that are made of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_tx.convert.family import Family
from keras_tx.convert.preset import TASK_PREFIX
from keras_tx.convert.table import Rule, prefixed

_NO_WEIGHTS = (r"(task/)?optimizer/.*", r"task/preprocessor/.*", r".*/seed_generator(_\d+)?/.*")


@dataclasses.dataclass(frozen=True)
class KerasHubFamily(Family):
    """A model family as KerasHub keeps it. Its settings are arguments of KerasHub's classes.

    Attributes:
        read_from: arguments that `inferred` reads.
        unread: names of our fields that change nothing in what a backbone computes, or that `derived` speaks of.
        whole: whether KerasHub's backbone has nothing beyond what the rules know.
        of_head: fields of ours that only one of our classes reads, by its name.
    """

    read_only: bool = True
    ignored: tuple[str, ...] = _NO_WEIGHTS
    read_from: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    whole: bool = True
    of_head: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    @property
    def backbone_name(self) -> str:
        """The name of KerasHub's class."""
        return self.model_type.partition("/")[2]

    def fields(self, config: Mapping[str, Any], class_name: str) -> dict[str, Any]:
        own_task = self.head(class_name).architecture in config["architectures"]
        known = {name for setting in self.settings for name in (setting.entry, *setting.also)}
        known |= self.required.keys() | self.head(class_name).required.keys()
        known |= {*self.read_from, "model_type", "architectures"}
        for name, value in config.items():
            if name not in known and (own_task or not name.startswith(TASK_PREFIX)):
                raise ValueError(f"the preset has {name}={value!r}, which is not supported.")
        return {**super().fields(config, class_name), **self.of_head.get(class_name, {})}

    def arguments(self, fields: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments of KerasHub's backbone that computes what ours does.

        Args:
            fields: of our config.
            defaults: of the class of our config: what the family does not speak of must be as it is there.

        Raises:
            ValueError: if there is none.
        """
        fields = self.normalized(fields)
        settings = [setting for setting in self.settings if not setting.entry.startswith(TASK_PREFIX)]
        spoken = {*self.unread, *(setting.field for setting in self.settings)}
        for name, value in {**defaults, **self.fixed}.items():
            if name not in spoken and fields[name] != value:
                raise ValueError(
                    f"KerasHub's {self.backbone_name} computes with `{name}={value!r}`; got {fields[name]!r}."
                )
        arguments: dict[str, Any] = {}
        for setting in settings:
            value = setting.to_entry(fields[setting.field])
            if arguments.setdefault(setting.entry, value) != value:
                raise ValueError(
                    f"KerasHub's {self.backbone_name} has one `{setting.entry}` for several fields, which differ: "
                    f"`{setting.field}={value!r}`, and another has {arguments[setting.entry]!r}."
                )
        return {**arguments, **self.derived(fields), **self.required}


# === Rules ===


def layer(peer: str, shape: str, own: str, *names: str) -> list[Rule]:
    """Returns the variables of a layer of KerasHub's, in order.

    Args:
        peer: the path of KerasHub's layer.
        shape: of each variable, separated by commas, its axes by spaces; where ours has fewer, they lie side by side.
        own: the path of our layer.
        names: of our weights.
    """
    shapes = [tuple(part.split()) for part in shape.split(",")]
    return [
        Rule(f"{peer}/vars/{i}", axes, (f"{own}/{name}",), flattened=len(axes) > 1)
        for i, (axes, name) in enumerate(zip(shapes, names, strict=True))
    ]


class _Row(Rule):
    """A table that ours has as a batch of one."""

    def to_weights(self, tensor: np.ndarray) -> list[np.ndarray]:
        return super().to_weights(tensor[None])


def row(peer: str, shape: str, own: str) -> Rule:
    """Returns the table of an embedding, that ours has an axis of one before."""
    return _Row(f"{peer}/vars/0", tuple(shape.split()), (own,))


def dense(peer: str, shape: str, own: str) -> list[Rule]:
    """Kernel and bias of a linear map."""
    return layer(peer, shape, own, "kernel", "bias")


def norm(peer: str, own: str) -> list[Rule]:
    """Scale and offset of a layer norm of width D."""
    return layer(peer, "D, D", own, "gamma", "beta")


def attention(peer: str, own: str) -> list[Rule]:
    """Keras's multi-head attention, of H heads of width A."""
    maps = [dense(f"{peer}/{x}_dense", "D H A, H A", f"{own}/{x}") for x in ("query", "key", "value")]
    return [*(rule for rules in maps for rule in rules), *dense(f"{peer}/output_dense", "H A D, D", f"{own}/output")]


TRANSFORMER_BLOCK = [
    *attention("_self_attention_layer", "attention"),
    *norm("_self_attention_layer_norm", "attention_norm"),
    *dense("_feedforward_intermediate_dense", "D F, F", "feed_forward/up"),
    *dense("_feedforward_output_dense", "F D, D", "feed_forward/down"),
    *norm("_feedforward_layer_norm", "feed_forward_norm"),
]
"""KerasHub's `TransformerEncoder` and `TransformerDecoder`."""


def blocks(peer: str, own: str, count: int, rules: list[Rule]) -> list[Rule]:
    """Returns the rules of a row of layers of one class, each below the path that Keras gives it."""
    return [rule for i in range(count) for rule in prefixed(f"{numbered(peer, i)}/", f"{own}_{i}/", rules)]


def numbered(path: str, index: int) -> str:
    """Returns the path that Keras gives to a layer of which there are several."""
    return f"{path}_{index}" if index else path
