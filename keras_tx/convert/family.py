"""A model family in the format of another library, the peer: its config, its tensors' names, its heads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from keras_tx.convert.directory import CheckpointDirectory
from keras_tx.convert.table import Rule
from keras_tx.convert.tensorflow import KnownNames, to_torch
from keras_tx.convert.tensors import Tensor

ACTIVATIONS = {"gelu_new": "gelu_tanh"}
"""Of Transformers' activations, those that we call otherwise."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """An entry of the peer's config, and the field of our config that says the same.

    Attributes:
        entry: the name of the peer's entry.
        field: the name of our field.
        default: the value that the peer assumes where its config lacks the entry.
        names: our value for each of the peer's that is called otherwise.
        closed: whether `names` holds all values that are supported.
        also: other names of the entry, tried in this order.
    """

    entry: str
    field: str
    default: Any
    names: Mapping[Any, Any] = dataclasses.field(default_factory=dict)
    closed: bool = False
    also: tuple[str, ...] = ()

    def to_field(self, config: Mapping[str, Any]) -> Any:
        """Returns the value of our field, read from the peer's config.

        Raises:
            ValueError: for a value that is not supported.
        """
        known = [name for name in (self.entry, *self.also) if name in config]
        value = config[known[0]] if known else self.default
        if value is None and isinstance(self.default, float):  # a number is wanted: peers take their own
            return self.default
        for peer, own in self.names.items():
            if peer == value:
                return own
        if self.closed:
            raise ValueError(f"the config says {self.entry}={value!r}; known are {', '.join(map(repr, self.names))}.")
        return value

    def to_entry(self, value: Any) -> Any:
        """Returns the value of the peer's entry for a value of our field.

        Raises:
            ValueError: for a value that the format cannot hold.
        """
        for peer, own in self.names.items():
            if own == value:
                return peer
        if self.closed:
            raise ValueError(
                f"`{self.field}={value!r}` cannot be said in this format, which has "
                f'{", ".join(map(repr, self.names.values()))}: save it with format="keras_tx".'
            )
        return value


@dataclasses.dataclass(frozen=True)
class Head:
    """What a peer calls one of our classes, and the tensors it has beyond the backbone's."""

    architecture: str
    """Empty for a class of ours that the peer does not have: its own weights start fresh."""
    rules: Callable[[Mapping[str, Any]], list[Rule]] = lambda fields: []
    required: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Entries of the peer's config that must have these values, for this head."""
    peer_fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of ours that the peer's head reads and ours does not, with the values that the peer's needs."""
    alone: bool = False
    """True for the backbone by itself, as which a checkpoint is read only where that is asked for."""


@dataclasses.dataclass(frozen=True)
class Family:
    """A model family in a peer's format.

    Attributes:
        model_type: the family's name in the peer's config.
        prefix: how the names of the backbone's tensors begin, unless the backbone was saved by itself.
        settings: the entries of the config and our fields.
        fixed: fields of ours that have one value in this format.
        required: entries of the peer's config that must have these values: others are not supported.
        tensorflow: fields of ours that differ in the peer's TensorFlow classes, whatever their config says.
        normalized: gives our fields, where two values of a field mean the same, with one of them.
        dims: gives the dimensions that the rules' shapes are made of, for our fields.
        backbone: gives the rules of the backbone, for our fields.
        heads: the heads by the names of our classes.
        ignored: patterns of names of tensors that hold no weights.
        left_out: patterns of names of tensors that belong to heads which none of our classes has.
        classes: the name of our field that counts the labels.
        inferred: gives fields of ours that follow from several entries of the peer's config.
        from_tensors: gives fields of ours that the tensors prove to differ from the config, for the fields of the
            config, and the tensors.
        derived: gives entries of the peer's config that follow from several of our fields.
        read_only: whether the format is only read.
        renamed: gives a checkpoint's tensors by the names that the rules know, where a checkpoint may have others.
    """

    model_type: str
    prefix: str
    settings: tuple[Setting, ...]
    fixed: Mapping[str, Any]
    required: Mapping[str, Any]
    dims: Callable[[Mapping[str, Any]], dict[str, int]]
    backbone: Callable[[Mapping[str, Any]], list[Rule]]
    heads: Mapping[str, Head]
    tensorflow: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    normalized: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda fields: fields
    ignored: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    classes: str = "num_labels"
    inferred: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda config: {}
    from_tensors: Callable[[Mapping[str, Any], Mapping[str, Any]], Mapping[str, Any]] = lambda fields, tensors: {}
    derived: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda fields: {}
    read_only: bool = False
    renamed: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda tensors: tensors

    def fields(self, config: Mapping[str, Any], class_name: str) -> dict[str, Any]:
        """Returns the fields of our config that the peer's config says, for one of our classes.

        Raises:
            ValueError: if the peer has no such head, or its config asks for what is not supported.
        """
        for name, value in {**self.required, **self.head(class_name).required}.items():
            if config.get(name, value) != value:
                raise ValueError(f"the config says {name}={config[name]!r}; only {value!r} is supported.")
        settings = {setting.field: setting.to_field(config) for setting in self.settings}
        return {**self.fixed, **_labels_to_fields(config, self.classes), **settings, **self.inferred(config)}

    def read(self, checkpoint: CheckpointDirectory, class_name: str) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
        """Returns the fields of our config that a checkpoint has, and its tensors by the names that the rules know.

        Raises:
            ValueError: as `fields`, or for two tensors that stand for the same one and differ.
        """
        fields = self.fields(checkpoint.config, class_name)
        tensors: Mapping[str, Tensor] = checkpoint.tensors
        if checkpoint.from_tensorflow:
            fields |= self.tensorflow
            known = KnownNames(self.tensor_names(fields), (*self.ignored, *self.left_out))
            tensors = to_torch(tensors, known)
        tensors = self.renamed(tensors)
        return {**fields, **self.from_tensors(fields, tensors)}, tensors

    def tensor_names(self, fields: Mapping[str, Any]) -> set[str]:
        """Returns all names that tensors of the backbone, tied or not, and of any head may have."""
        rules = [rule for head in self.heads.values() for rule in head.rules(fields)]
        for tied in ({}, {"tie_embeddings": True}):
            rules += self.backbone({**fields, **tied})
        return {name for rule in rules for name in rule.names(self.prefix)}

    def config(self, fields: Mapping[str, Any], class_name: str) -> dict[str, Any]:
        """Returns the peer's config for one of our classes and our fields.

        Raises:
            ValueError: for a class or a value of a field that the format cannot hold.
        """
        head = self.head(class_name)
        fields = self.normalized({**fields, **head.peer_fields})
        for name, value in self.differences(fields).items():
            raise ValueError(
                f"a {self.model_type} of this format has `{name}={value!r}`, and this model {fields[name]!r}: save it "
                'with format="keras_tx".'
            )
        config = {"architectures": [head.architecture], "model_type": self.model_type, "dtype": "float32"}
        config |= self._entries(fields)
        return {**config, **self.derived(fields), **self.required, **head.required, **self._labels(fields)}

    def _entries(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        for setting in self.settings:
            value = setting.to_entry(fields[setting.field])
            if entries.setdefault(setting.entry, value) != value:
                raise ValueError(
                    f"this format has one `{setting.entry}` for several fields, which differ: {value!r} of "
                    f'`{setting.field}`, and {entries[setting.entry]!r}. Save it with format="keras_tx".'
                )
        return entries

    def _labels(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return _labels_to_entries(fields, fields[self.classes])

    def differences(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the fields of ours that the format cannot hold, with the values that it has instead."""
        fields = self.normalized(fields)
        fixed = dict(self.fixed)
        if all(setting.field != "attention" for setting in self.settings):
            fixed["attention"] = None  # most peers have multi-head attention alone
        return {name: value for name, value in fixed.items() if fields.get(name) != value}

    def head(self, class_name: str) -> Head:
        """Returns the head of one of our classes.

        Raises:
            ValueError: if the peer has none.
        """
        if class_name not in self.heads:
            raise ValueError(f"there is no {class_name} among {self.model_type}'s: there are {', '.join(self.heads)}.")
        return self.heads[class_name]

    def reads(self, config: Mapping[str, Any]) -> bool:
        """Returns whether a peer's config is of this family, by its `model_type`, or else by the class it names."""
        if config.get("model_type") is None:
            return bool(_architectures(config) & {head.architecture for head in self.heads.values()})
        return config["model_type"] == self.model_type

    def names(self, config: Mapping[str, Any]) -> bool:
        """Returns whether a peer's config names one of this family's heads, too."""
        return bool(_architectures(config) & {head.architecture for head in self.heads.values() if not head.alone})

    def class_name(self, config: Mapping[str, Any]) -> str:
        """Our class for the peer's config; the first one, a language model, for a backbone saved by itself."""
        named = _architectures(config)
        heads = {name: head for name, head in self.heads.items() if not head.alone}
        return next((name for name, head in heads.items() if head.architecture in named), next(iter(heads)))


def choose(families: Iterable[Family], config: Mapping[str, Any]) -> Family | None:
    """Returns the family that reads a peer's config, first one that has the named head; None if there is none."""
    reading = [family for family in families if family.reads(config)]
    return next((family for family in reading if family.names(config)), reading[0] if reading else None)


def kind(config: Mapping[str, Any]) -> str:
    """Returns how an error message calls what a peer's config is of."""
    if config.get("model_type") is None and config.get("architectures"):
        return f"config has no `model_type`, and `architectures` {config['architectures']!r}"
    return f"`model_type` is {config.get('model_type')!r}"


def _architectures(config: Mapping[str, Any]) -> set[str]:
    return {name.removeprefix("TF") for name in config.get("architectures") or ()}


def _labels_to_fields(config: Mapping[str, Any], classes: str) -> dict[str, Any]:
    labels = config.get("id2label")
    kind = {"problem_type": config.get("problem_type")}
    if labels is None:
        return {classes: config.get("num_labels", 2), **kind}
    names = tuple(labels[key] for key in sorted(labels, key=int))
    generic = names == tuple(f"LABEL_{i}" for i in range(len(names)))
    return {classes: len(names), "label_names": None if generic else names, **kind}


def _labels_to_entries(fields: Mapping[str, Any], count: int) -> dict[str, Any]:
    names = fields["label_names"] or [f"LABEL_{i}" for i in range(count)]
    labels: dict[str, Any] = {
        "id2label": {str(i): name for i, name in enumerate(names)},
        "label2id": {name: i for i, name in enumerate(names)},
    }
    return labels | ({"problem_type": fields["problem_type"]} if fields.get("problem_type") else {})
