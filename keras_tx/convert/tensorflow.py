"""Weights of Transformers' TensorFlow classes, as PyTorch names and lays them out.

A weight's name says which layers it lies in, and how many levels come before those that PyTorch has depends on how the
model was made: `from_pretrained` and a call put the model's own name in front, `build` does not, a surrounding model or
name scope adds its own. So a name is matched from its end, with the names that the family's table knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from keras_tx.convert.tensors import Tensor

_WEIGHT = {"kernel": "weight", "gamma": "weight", "embeddings": "weight", "beta": "bias"}
_TO_TORCH = {2: (1, 0), 3: (2, 1, 0), 4: (3, 2, 0, 1)}
"""Axes of a kernel by its rank: of a linear map, of a convolution of sequences, of one of images."""

_NUMBER = re.compile(r"(?:(?<=\.)|^)\d+(?=\.)")


class KnownNames:
    """The names that a family's table knows, with any number in place of a layer's.

    Args:
        names: of tensors.
        patterns: regular expressions of further names, which count where no name does.
    """

    def __init__(self, names: Iterable[str], patterns: Iterable[str] = ()):
        self.names = {_NUMBER.sub("#", name) for name in names}
        self.patterns = [re.compile(pattern) for pattern in patterns]

    def ending(self, levels: list[str]) -> str | None:
        """Returns the longest known name that ends these levels, or the shortest that a pattern matches, or None."""
        endings = [".".join(levels[start:]) for start in range(len(levels))]
        named = (name for name in endings if _NUMBER.sub("#", name) in self.names)
        matched = (name for name in reversed(endings) if any(pattern.fullmatch(name) for pattern in self.patterns))
        return next(named, None) or next(matched, None)


def to_torch(tensors: Mapping[str, Tensor], known: KnownNames) -> dict[str, Tensor]:
    """Returns the tensors of a TensorFlow class by PyTorch's names and in PyTorch's layout.

    Args:
        tensors: by their names in the file, safetensors or HDF5, where the first levels are groups.
        known: the names that they may have; a tensor that has none of them keeps its own.

    Raises:
        ValueError: if two tensors that differ stand for the same one.
    """
    found: dict[str, Tensor] = {}
    keys: dict[str, str] = {}
    for key, tensor in tensors.items():
        name, x = known.ending(_levels(key)) or key, _in_torch_layout(key, tensor)
        # A layer that holds another's, as a masked language model's head the embeddings, repeats its weights.
        if name in found and not x.equals(found[name]):
            raise ValueError(
                f"{tensor.file} has two tensors that stand for {name}, with other numbers in each: {keys[name]} and "
                f"{key}."
            )
        found[name], keys[name] = x, key
    return found


def _levels(key: str) -> list[str]:
    """Returns the levels of a weight's name, the last one as PyTorch calls it.

    `a___b` stands for b. `_._` parts two levels, and so does `_/_`, which tools that turn dots into slashes make of it.
    """
    key = re.sub(r"_[./]_", "/", re.sub(r"(^|/)[^/]*___", r"\1", key.removesuffix(":0")))
    *levels, last = [level for level in key.split("/") if level]
    return [*levels, _WEIGHT.get(last, last)]


def _in_torch_layout(key: str, tensor: Tensor) -> Tensor:
    last = key.removesuffix(":0").rpartition("/")[2]
    if last == "kernel" and len(tensor.shape) in _TO_TORCH:
        return tensor.transposed(_TO_TORCH[len(tensor.shape)])
    if last == "bias" and len(tensor.shape) == 2 and tensor.shape[0] == 1:
        return tensor.first_row()
    return tensor
