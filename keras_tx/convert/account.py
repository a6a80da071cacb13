"""Accounting in both directions: which tensor of a checkpoint fills which weights, and what either side lacks."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Container, Iterable, Mapping
from typing import Any

from keras_tx.convert.family import Family
from keras_tx.convert.table import Rule
from keras_tx.convert.tensors import Tensor

_LAYER = re.compile(r"(?<=[._])\d+(?=[./])")


@dataclasses.dataclass
class Account:
    """The load report: which tensors of a checkpoint fill which weights of a model, and what is left on either side.

    Attributes:
        found: pairs of a rule and the name of the tensor that it is about.
        copies: pairs of names of tensors that must hold the same numbers.
        missing: names of tensors that the backbone needs and the checkpoint lacks.
        fresh: rules of a head whose tensors the checkpoint lacks: its weights keep their initial values.
        wrong: pairs of a tensor's name and what is wrong with its shape or dtype.
        left_over: names of tensors that no rule is about.
        other_heads: names of tensors of the family's other heads, which this class does not have.
        what: how the message of an error begins.
    """

    found: list[tuple[Rule, str]] = dataclasses.field(default_factory=list)
    copies: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    missing: list[str] = dataclasses.field(default_factory=list)
    fresh: list[Rule] = dataclasses.field(default_factory=list)
    wrong: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    left_over: list[str] = dataclasses.field(default_factory=list)
    other_heads: list[str] = dataclasses.field(default_factory=list)
    what: str = "the checkpoint does not fit"

    @property
    def problems(self) -> list[str]:
        """Returns why the checkpoint cannot be loaded, a line for each kind of problem; no line if it can."""
        lines = [f"missing: {name}" for name in self.missing]
        lines += [f"wrong: {name} {what}" for name, what in self.wrong]
        return over_layers([*lines, *(f"left over: {name}" for name in self.left_over)])

    def require_whole(self) -> None:
        """Raises ValueError with the problems, if there are any."""
        if self.problems:
            raise ValueError("\n".join([f"{self.what}:", *self.problems]))

    @property
    def notes(self) -> list[str]:
        """Returns what a user should know of a checkpoint that can be loaded."""
        lines = []
        if self.fresh:
            lines.append(f"fresh, for the checkpoint lacks them: {', '.join(rule.tensor for rule in self.fresh)}")
        if self.other_heads:
            lines.append(f"left out, for they belong to another head: {', '.join(self.other_heads)}")
        return lines


def account(
    family: Family, class_name: str, fields: Mapping[str, Any], tensors: Mapping[str, Tensor], *, new_head: bool = False
) -> Account:
    """Holds a checkpoint in a peer's format against the family's table, by name, shape and dtype. It reads no numbers.

    Args:
        family: the table.
        class_name: the name of our class.
        fields: the fields of our config.
        tensors: the tensors of the checkpoint, by the names that the rules know.
        new_head: whether a head of another shape counts as one that the checkpoint lacks.
    """
    return match(
        {name: tensor for name, tensor in tensors.items() if not _matches(family.ignored, name)},
        family.backbone(fields),
        family.head(class_name).rules(fields),
        other_heads=family.tensor_names(fields) | {name for name in tensors if _matches(family.left_out, name)},
        dims=family.dims(fields),
        prefix=family.prefix,
        new_head=new_head,
    )


def match(
    tensors: Mapping[str, Tensor],
    backbone: Iterable[Rule],
    head: Iterable[Rule],
    *,
    other_heads: Container[str] = (),
    dims: Mapping[str, int] | None = None,
    prefix: str = "",
    new_head: bool = False,
) -> Account:
    """Holds tensors against rules.

    Args:
        tensors: the tensors of the checkpoint that hold weights.
        backbone: rules whose tensors must all be there.
        head: rules whose tensors may be lacking.
        other_heads: names of tensors that may be left over.
        dims: the dimensions that the rules' shapes are made of.
        prefix: what names may begin with or not.
        new_head: whether a head of another shape counts as one that the checkpoint lacks.
    """
    result, left = Account(), dict(tensors)

    def take(rule: Rule, names: list[str]) -> None:
        result.found.append((rule, names[0]))
        result.copies.extend((names[0], copy) for copy in names[1:])
        for name in names:
            _check(result, rule, name, left.pop(name), dims or {})

    for rule in backbone:
        names = [name for name in rule.names(prefix) if name in left]
        if names:
            take(rule, names)
        else:
            result.missing.append(rule.tensor)
    for rule in head:
        names = [name for name in rule.names(prefix) if name in left]
        if names and not (new_head and left[names[0]].shape != rule.shape_in(dims or {})):
            take(rule, names)
        else:
            result.fresh.append(rule)
            for name in names:
                del left[name]
    result.other_heads = sorted(name for name in left if name in other_heads)
    result.left_over = sorted(name for name in left if name not in other_heads)
    return result


def _check(result: Account, rule: Rule, name: str, tensor: Tensor, dims: Mapping[str, int]) -> None:
    expected = rule.shape_in(dims)
    if tensor.shape != expected:
        result.wrong.append((name, f"has shape {tensor.shape}; the config asks for {expected}"))
    elif "float" not in tensor.dtype.name:
        result.wrong.append((name, f"is {tensor.dtype.name}; weights are floating point"))


def _matches(patterns: Iterable[str], name: str) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def over_layers(lines: Iterable[str]) -> list[str]:
    """Joins lines that differ in the number of a layer alone into one: `h.{0..11}.ln_1.weight`."""
    layers: dict[tuple[str, ...], list[int]] = {}
    for line in lines:
        number = _LAYER.search(line)
        if number:
            layers.setdefault((line[: number.start()], line[number.end() :]), []).append(int(number[0]))
        else:
            layers[(line,)] = []
    return [_spanned(numbers).join(parts) for parts, numbers in layers.items()]


def _spanned(numbers: list[int]) -> str:
    """Writes 0, 1, 2, 5 as `{0..2,5}`, and one number as it is."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    spans = ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}..{run[-1]}" for run in runs)
    return spans if len(numbers) == 1 else f"{{{spans}}}"
