"""The table between the tensors of another library, the peer, and our weights, read in both directions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np


@dataclasses.dataclass(frozen=True)
class Rule:
    """A tensor of the peer, and the weights of ours that hold the same numbers.

    Attributes:
        theirs: the tensor's name.
        shape: its axes as letters of the family's dimensions, as `("D", "3D")`.
        ours: paths of our weights below the model; several share its numbers, side by side along the last axis of
            ours.
        axes: the order in which ours takes its axes; None for the same.
        copies: other names under which the peer may keep the same numbers: of a tied output projection, or of old.
        flattened: whether ours has them in fewer axes: those of the heads side by side. Such a rule only reads.
        row: which row of ours they are, along an axis that ours has before theirs: of one of several experts.
    """

    theirs: str
    shape: tuple[str, ...]
    ours: tuple[str, ...]
    axes: tuple[int, ...] | None = None
    copies: tuple[str, ...] = ()
    flattened: bool = False
    row: int | None = None

    def shape_in(self, dims: Mapping[str, int]) -> tuple[int, ...]:
        """Returns the tensor's shape, given the dimensions: "3D" is three times `dims["D"]`."""
        return tuple(_size(axis, dims) for axis in self.shape)

    def names(self, prefix: str = "") -> list[str]:
        """Returns the names that the tensor may have: its own and its copies', with the prefix and without it."""
        spelled = [name for full in (self.theirs, *self.copies) for name in (full, full.removeprefix(prefix))]
        return list(dict.fromkeys(spelled))

    def to_ours(self, tensor: np.ndarray) -> list[np.ndarray]:
        """Returns the values of each of our weights, given the tensor's."""
        tensor = tensor if self.axes is None else tensor.transpose(self.axes)
        return np.split(tensor, len(self.ours), axis=-1)

    def to_theirs(self, weights: list[np.ndarray]) -> np.ndarray:
        """Returns the tensor's values, given those of each of our weights."""
        tensor = weights[0] if len(weights) == 1 else np.concatenate(weights, axis=-1)
        return tensor if self.axes is None else np.ascontiguousarray(tensor.transpose(np.argsort(self.axes)))


def same(theirs: str, shape: str, *ours: str, copies: tuple[str, ...] = ()) -> Rule:
    """Returns the rule of a tensor laid out as ours is; `shape` has its axes separated by spaces."""
    return Rule(theirs, tuple(shape.split()), ours, copies=copies)


def transposed(theirs: str, shape: str, *ours: str) -> Rule:
    """Returns the rule of a matrix `(out, in)`, as torch's linear maps have it."""
    return Rule(theirs, tuple(shape.split()), ours, axes=(1, 0))


def convolution(theirs: str, shape: str, ours: str, use_bias: bool = True) -> list[Rule]:
    """Returns the rules of kernel and bias of torch's convolution; its kernel is `(out, in, height, width)`."""
    kernel = Rule(f"{theirs}.weight", tuple(shape.split()), (f"{ours}/kernel",), axes=(2, 3, 1, 0))
    return [kernel, *([same(f"{theirs}.bias", shape.split()[0], f"{ours}/bias")] if use_bias else [])]


def linear(theirs: str, shape: str, ours: str) -> list[Rule]:
    """Returns the rules of kernel and bias of torch's linear map of shape `(out, in)`."""
    return [
        transposed(f"{theirs}.weight", shape, f"{ours}/kernel"),
        same(f"{theirs}.bias", shape.split()[0], f"{ours}/bias"),
    ]


def norm(theirs: str, shape: str, ours: str) -> list[Rule]:
    """Returns the rules of scale and offset of a layer norm; old checkpoints have TensorFlow's names for them."""
    return [
        same(f"{theirs}.weight", shape, f"{ours}/gamma", copies=(f"{theirs}.gamma",)),
        same(f"{theirs}.bias", shape, f"{ours}/beta", copies=(f"{theirs}.beta",)),
    ]


def below(theirs: str, ours: str, rules: Iterable[Rule]) -> list[Rule]:
    """Returns rules with these prefixes before the peer's names and our paths."""
    return [
        dataclasses.replace(
            rule,
            theirs=theirs + rule.theirs,
            ours=tuple(ours + path for path in rule.ours),
            copies=tuple(theirs + name for name in rule.copies),
        )
        for rule in rules
    ]


def _size(axis: str, dims: Mapping[str, int]) -> int:
    letters = axis.lstrip("0123456789")
    factor = axis.removesuffix(letters)
    return int(factor or 1) * (dims[letters] if letters else 1)
