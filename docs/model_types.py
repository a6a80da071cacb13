"""Writes model_types.md: what each `model_type` of a checkpoint becomes, as the registry has it.

python docs/model_types.py
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_tx.convert.family import Family, Head
from keras_tx.models.core.registry import MODELS

PAGE = Path(__file__).with_name("model_types.md")
_HEADER = """# Model types

What the `model_type` of a checkpoint's `config.json` becomes, by format. `python docs/model_types.py` writes this page
from the registry, and a test compares them.

Each class here gives the logits, losses, hidden states and attention maps of its peer on the same weights, as
[checkpoints.md](checkpoints.md#measured-against-the-peers) has it measured. A class that is not here is not there: its
checkpoint loads as the family's first class, with a warning that names the tensors which are left out. A config with
another value where one is needed is refused with an error that names the entry.
"""
_FORMATS = {"huggingface": "Transformers", "timm": "timm", "keras_hub": "KerasHub", "npz": "The authors' own files"}
"""The formats' titles, in the page's order."""


def page() -> str:
    """The text of the page."""
    parts = [_HEADER]
    for format, title in _FORMATS.items():
        families = _families(format)
        written = "" if any(not family.read_only for family in families) else ", which are only read"
        parts.append(f"\n## {title}{written}\n\n| `model_type` | Classes | Needs |\n|---|---|---|\n")
        types = dict.fromkeys(family.model_type for family in families)
        parts += [_row(name, [family for family in families if family.model_type == name]) for name in types]
    return "".join(parts)


def _families(format: str) -> list[Family]:
    """All of a format, each once, by their types."""
    found = [family for entry in MODELS.values() for family in entry.cls.formats.get(format, ())]
    return sorted({id(family): family for family in found}.values(), key=lambda family: family.model_type)


def _row(model_type: str, families: list[Family]) -> str:
    classes = [_class(name, head.architecture) for family in families for name, head in _heads(family).items()]
    needs = [text for family in families for text in _needs(family)]
    return f"| `{model_type}` | {', '.join(dict.fromkeys(classes))} | {'; '.join(dict.fromkeys(needs))} |\n"


def _heads(family: Family) -> dict[str, Head]:
    return {name: head for name, head in family.heads.items() if not head.alone and name in MODELS}


def _needs(family: Family) -> list[str]:
    """The entries of a config that must have one value, of all classes and then of some."""
    by_values: dict[str, list[str]] = {_entries(family.required): []}
    for name, head in _heads(family).items():
        own = {entry: value for entry, value in head.required.items() if family.required.get(entry) != value}
        by_values.setdefault(_entries(own), []).append(f"`{name}`")
    return [
        f"{', '.join(names)}: {values}" if values != _entries(family.required) else values
        for values, names in by_values.items()
        if values
    ]


def _class(ours: str, theirs: str) -> str:
    return f"`{ours}`" if theirs in (ours, "") else f"`{theirs}` as `{ours}`"


def _entries(entries: Mapping[str, Any]) -> str:
    return ", ".join(f"`{name}={value!r}`" for name, value in entries.items())


if __name__ == "__main__":
    PAGE.write_text(page())
