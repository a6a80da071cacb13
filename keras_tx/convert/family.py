"""A model family as a peer keeps it: how its config reads, what its tensors are called, which heads it has."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from keras_tx.convert.table import Rule


@dataclasses.dataclass(frozen=True)
class Setting:
    """One entry of a peer's config, and the field of ours that says the same.

    Attributes:
        theirs: the entry's name.
        ours: the field's name.
        default: what the peer takes where its config lacks the entry.
        names: theirs to ours, for values that are called otherwise.
        closed: whether there are no values but those of `names`.
        also: other names the entry goes by.
    """

    theirs: str
    ours: str
    default: Any
    names: Mapping[Any, Any] = dataclasses.field(default_factory=dict)
    closed: bool = False
    also: tuple[str, ...] = ()

    def to_ours(self, config: Mapping[str, Any]) -> Any:
        """The field's value, from the peer's config."""
        known = [name for name in (self.theirs, *self.also) if name in config]
        value = config[known[0]] if known else self.default
        if value is None and isinstance(self.default, float):  # a number is wanted: peers take their own
            return self.default
        for theirs, ours in self.names.items():
            if theirs == value:
                return ours
        if self.closed:
            raise ValueError(f"the config says {self.theirs}={value!r}; known are {', '.join(map(repr, self.names))}.")
        return value

    def to_theirs(self, value: Any) -> Any:
        """The entry's value, from the field's."""
        for theirs, ours in self.names.items():
            if ours == value:
                return theirs
        if self.closed:
            raise ValueError(
                f"`{self.ours}={value!r}` cannot be said in this format, which has "
                f'{", ".join(map(repr, self.names.values()))}: save it with format="keras_tx".'
            )
        return value


@dataclasses.dataclass(frozen=True)
class Head:
    """What a peer calls one of our classes, and the tensors it has beyond the backbone's."""

    architecture: str
    rules: Callable[[Mapping[str, Any]], list[Rule]] = lambda fields: []
    demanded: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """As the family's, of this head."""
    written: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of ours that this head does not read and the peer's does, as it needs them."""


@dataclasses.dataclass(frozen=True)
class Family:
    """A model family in a peer's format.

    Attributes:
        model_type: what the peer's config calls it.
        prefix: what the names of the backbone's tensors begin with, unless the backbone was saved by itself.
        settings: the config's entries and our fields.
        fixed: fields of ours that only have one value in this format.
        demanded: entries of the peer's config that must have this value, as others ask for what we do not have.
        tensorflow: fields of ours in which the peer's TensorFlow classes, whose weights are `tf_model.h5`, go their own
            way whatever the config says.
        plain: our fields with one spelling for what can be said in two.
        dims: the dimensions that the rules' shapes are made of, from our fields.
        backbone: the rules of the backbone, from our fields.
        heads: by the name of our class.
        ignored: patterns of tensors that hold no weights.
    """

    model_type: str
    prefix: str
    settings: tuple[Setting, ...]
    fixed: Mapping[str, Any]
    demanded: Mapping[str, Any]
    dims: Callable[[Mapping[str, Any]], dict[str, int]]
    backbone: Callable[[Mapping[str, Any]], list[Rule]]
    heads: Mapping[str, Head]
    tensorflow: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    plain: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda fields: fields
    ignored: tuple[str, ...] = ()

    def fields(self, config: Mapping[str, Any], class_name: str) -> dict[str, Any]:
        """The fields of our config, from the peer's, for one of our classes.

        Raises:
            ValueError: if the peer has no such head, or its config asks for what we do not have.
        """
        for name, value in {**self.demanded, **self.head(class_name).demanded}.items():
            if config.get(name, value) != value:
                raise ValueError(f"the config says {name}={config[name]!r}; only {value!r} is supported.")
        settings = {setting.ours: setting.to_ours(config) for setting in self.settings}
        return {**self.fixed, **settings, **_labels_to_ours(config)}

    def config(self, fields: Mapping[str, Any], class_name: str) -> dict[str, Any]:
        """The peer's config of one of our classes, from our fields.

        Raises:
            ValueError: for a class or a value of a field that the format cannot hold.
        """
        head = self.head(class_name)
        fields = self.plain({**fields, **head.written})
        for name, value in self.differences(fields).items():
            raise ValueError(
                f"a {self.model_type} of this format has `{name}={value!r}`, and this model {fields[name]!r}: save it "
                'with format="keras_tx".'
            )
        config = {"architectures": [head.architecture], "model_type": self.model_type, "dtype": "float32"}
        config |= {setting.theirs: setting.to_theirs(fields[setting.ours]) for setting in self.settings}
        return {**config, **self.demanded, **head.demanded, **_labels_to_theirs(fields)}

    def differences(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """What the format has for those of our fields that it cannot hold."""
        fields = self.plain(fields)
        return {name: value for name, value in self.fixed.items() if fields[name] != value}

    def head(self, class_name: str) -> Head:
        """The head of one of our classes.

        Raises:
            ValueError: if the peer has none.
        """
        if class_name not in self.heads:
            raise ValueError(f"there is no {class_name} among {self.model_type}'s: there are {', '.join(self.heads)}.")
        return self.heads[class_name]

    def class_name(self, config: Mapping[str, Any]) -> str:
        """Our class for the peer's config; the first one, a language model, for a backbone saved by itself."""
        named = set(config.get("architectures") or ())
        named |= {name.removeprefix("TF") for name in named}
        return next((name for name, head in self.heads.items() if head.architecture in named), next(iter(self.heads)))


def _labels_to_ours(config: Mapping[str, Any]) -> dict[str, Any]:
    labels = config.get("id2label")
    if not labels:
        return {"num_labels": config.get("num_labels", 2), "problem_type": config.get("problem_type")}
    names = tuple(labels[key] for key in sorted(labels, key=int))
    generic = names == tuple(f"LABEL_{i}" for i in range(len(names)))
    return {
        "num_labels": len(names),
        "label_names": None if generic else names,
        "problem_type": config.get("problem_type"),
    }


def _labels_to_theirs(fields: Mapping[str, Any]) -> dict[str, Any]:
    names = fields["label_names"] or [f"LABEL_{i}" for i in range(fields["num_labels"])]
    labels: dict[str, Any] = {
        "id2label": {str(i): name for i, name in enumerate(names)},
        "label2id": {name: i for i, name in enumerate(names)},
    }
    return labels | ({"problem_type": fields["problem_type"]} if fields["problem_type"] else {})
