"""The table between the tensors of another library, the peer, and our weights, read in both directions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np


@dataclasses.dataclass(frozen=True)
class Rule:
    """A tensor of the peer, and our weights that hold the same numbers.

    Attributes:
        tensor: the tensor's name.
        shape: its axes as letters of the family's dimensions, as `("D", "3D")`.
        weights: the weights' paths below the model; several share its numbers, side by side along their last axis.
        axes: the order in which the weights take its axes; None for the same.
        copies: other names under which the peer may keep the same numbers: of a tied output projection, or of old.
        flattened: whether the weights have fewer axes: those of the heads side by side. Such a rule only reads.
        row: which row of the weights it is, along a first axis that it lacks: that of one of several experts.
    """

    tensor: str
    shape: tuple[str, ...]
    weights: tuple[str, ...]
    axes: tuple[int, ...] | None = None
    copies: tuple[str, ...] = ()
    flattened: bool = False
    row: int | None = None

    def shape_in(self, dims: Mapping[str, int]) -> tuple[int, ...]:
        """Returns the tensor's shape, given the dimensions: "3D" is three times `dims["D"]`."""
        return tuple(_size(axis, dims) for axis in self.shape)

    def names(self, prefix: str = "") -> list[str]:
        """Returns the names that the tensor may have: its own and its copies', with the prefix and without it."""
        spelled = [name for full in (self.tensor, *self.copies) for name in (full, full.removeprefix(prefix))]
        return list(dict.fromkeys(spelled))

    def to_weights(self, tensor: np.ndarray) -> list[np.ndarray]:
        """Returns the values of each of our weights, given the tensor's."""
        tensor = tensor if self.axes is None else tensor.transpose(self.axes)
        return np.split(tensor, len(self.weights), axis=-1)

    def to_tensor(self, weights: list[np.ndarray]) -> np.ndarray:
        """Returns the tensor's values, given those of each of our weights."""
        tensor = weights[0] if len(weights) == 1 else np.concatenate(weights, axis=-1)
        return tensor if self.axes is None else np.ascontiguousarray(tensor.transpose(np.argsort(self.axes)))


def same(peer: str, shape: str, *own: str, copies: tuple[str, ...] = ()) -> Rule:
    """Returns the rule of a tensor laid out as ours is; `shape` has its axes separated by spaces."""
    return Rule(peer, tuple(shape.split()), own, copies=copies)


def transposed(peer: str, shape: str, *own: str) -> Rule:
    """Returns the rule of a matrix `(out, in)`, as torch's linear maps have it."""
    return Rule(peer, tuple(shape.split()), own, axes=(1, 0))


def convolution(peer: str, shape: str, own: str, use_bias: bool = True) -> list[Rule]:
    """Returns the rules of kernel and bias of torch's convolution; its kernel is `(out, in, *sizes)`."""
    axes = tuple(shape.split())
    kernel = Rule(f"{peer}.weight", axes, (f"{own}/kernel",), axes=(*range(2, len(axes)), 1, 0))
    return [kernel, *([same(f"{peer}.bias", shape.split()[0], f"{own}/bias")] if use_bias else [])]


def linear(peer: str, shape: str, own: str) -> list[Rule]:
    """Returns the rules of kernel and bias of torch's linear map of shape `(out, in)`."""
    return [
        transposed(f"{peer}.weight", shape, f"{own}/kernel"),
        same(f"{peer}.bias", shape.split()[0], f"{own}/bias"),
    ]


def norm(peer: str, shape: str, own: str) -> list[Rule]:
    """Returns the rules of scale and offset of a layer norm; old checkpoints have TensorFlow's names for them."""
    return [
        same(f"{peer}.weight", shape, f"{own}/gamma", copies=(f"{peer}.gamma",)),
        same(f"{peer}.bias", shape, f"{own}/beta", copies=(f"{peer}.beta",)),
    ]


def prefixed(peer: str, own: str, rules: Iterable[Rule]) -> list[Rule]:
    """Returns rules with these prefixes before the peer's names and our paths."""
    return [
        dataclasses.replace(
            rule,
            tensor=peer + rule.tensor,
            weights=tuple(own + path for path in rule.weights),
            copies=tuple(peer + name for name in rule.copies),
        )
        for rule in rules
    ]


def _size(axis: str, dims: Mapping[str, int]) -> int:
    letters = axis.lstrip("0123456789")
    factor = axis.removesuffix(letters)
    return int(factor or 1) * (dims[letters] if letters else 1)
