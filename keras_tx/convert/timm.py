"""timm's directories: `config.json` names an architecture, and the arguments in which the model differs from it."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any

from keras_tx.convert.family import Family

_HARMLESS = {"weight_init", "fix_init", "dynamic_img_size", "strict_img_size", "num_classes"}
"""Arguments that change nothing in a model whose weights are loaded."""


@dataclasses.dataclass(frozen=True)
class TimmFamily(Family):
    """A model family as timm keeps it. Its settings are arguments of timm's class.

    Attributes:
        architectures: the arguments of each architecture that timm names.
        implied: names of settings that no argument says, but an architecture.
        least: the least values of some fields that can be said; a smaller one becomes that, with a warning.
        pretrained_cfg: what timm wants to know of a checkpoint: which layers are first and last.
    """

    architectures: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    implied: tuple[str, ...] = ()
    least: Mapping[str, float] = dataclasses.field(default_factory=dict)
    pretrained_cfg: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def reads(self, config: Mapping[str, Any]) -> bool:
        return config.get("architecture") in self.architectures

    def fields(self, config: Mapping[str, Any], class_name: str) -> dict[str, Any]:
        return super().fields(self._flat(config), class_name)

    def _flat(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Returns all arguments by name, and the labels as Transformers has them."""
        about = config.get("pretrained_cfg") or {}
        name, given = config["architecture"], {**(config.get("model_args") or {})}
        known = {setting.entry for setting in self.settings} | self.required.keys() | {"mlp_ratio"}
        for argument in given:
            if argument not in known | _HARMLESS:
                raise ValueError(
                    f"the config's `model_args` have {argument}={given[argument]!r}, which is not supported."
                )
        channels, *size = about.get("input_size") or (3, 224, 224)
        arguments = {"in_chans": channels, "img_size": size if about.get("fixed_input_size") else 224}
        if "global_pool" in config:
            arguments["global_pool"] = config["global_pool"]
        arguments |= {**self.architectures[name], **{key: x for key, x in given.items() if x is not None}}
        arguments["img_size"] = _plain(arguments["img_size"])
        count = config.get("num_classes", about.get("num_classes", 1000))
        names = config.get("label_names") or about.get("label_names")
        names = names if isinstance(names, list) and len(names) == count else [f"LABEL_{i}" for i in range(count)]
        labels = {"id2label": {str(i): label for i, label in enumerate(names)}}
        return arguments | labels | {"problem_type": config.get("problem_type")}

    def config(self, fields: Mapping[str, Any], class_name: str) -> dict[str, Any]:
        for name, least in self.least.items():
            if fields[name] < least:
                warnings.warn(f"timm has no {name}={fields[name]!r}: it is written as {least!r}.", stacklevel=4)
                fields = {**fields, name: least}
        flat = super().config(fields, class_name)
        entries = {**self._entries(self.normalized(fields)), **self.derived(fields)}
        architecture = self._architecture(entries)
        arguments = {name: value for name, value in entries.items() if name not in self.implied}
        size = arguments["img_size"]
        height, width = (size, size) if isinstance(size, int) else size
        config = {
            "architecture": architecture,
            "num_classes": fields[self.classes],
            "global_pool": flat["global_pool"],
            "model_args": arguments,
            "pretrained_cfg": {
                "input_size": [arguments["in_chans"], height, width],
                "fixed_input_size": True,
                "num_classes": fields[self.classes],
                **self.pretrained_cfg,
            },
        }
        about = {"label_names": list(fields["label_names"] or ()), "problem_type": fields["problem_type"]}
        return config | {name: value for name, value in about.items() if value}

    def _architecture(self, entries: Mapping[str, Any]) -> str:
        """Returns the architecture that has most of these arguments."""
        defaults = {setting.entry: setting.default for setting in self.settings}
        full = {
            name: {key: _listed(value) for key, value in {**defaults, **arguments}.items()}
            for name, arguments in self.architectures.items()
        }
        fitting = [name for name in full if all(full[name][key] == entries[key] for key in self.implied)]
        if not fitting:
            said = ", ".join(f"{key}={entries[key]!r}" for key in self.implied)
            raise ValueError(f'no architecture of timm\'s has {said}: save it with format="keras_tx".')
        return max(fitting, key=lambda name: sum(full[name].get(key) == value for key, value in entries.items()))


def _listed(value: Any) -> Any:
    """As JSON has it."""
    return list(value) if isinstance(value, tuple) else value


def _plain(size: Any) -> Any:
    """One number for a square."""
    return size if isinstance(size, int) else size[0] if len(set(size)) == 1 else tuple(size)
