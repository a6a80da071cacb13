"""`tf_model.h5`, as Transformers' TensorFlow classes wrote it, read as the PyTorch checkpoint it stands for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_tx.convert.tensors import Tensor

_WEIGHT = {"kernel": "weight", "gamma": "weight", "embeddings": "weight", "beta": "bias"}
_TO_TORCH = {2: (1, 0), 4: (3, 2, 0, 1)}
"""Axes of a kernel by its rank: of a linear map, of a convolution."""


def read_h5(path: Path) -> dict[str, Tensor]:
    """The tensors of a `tf_model.h5` by PyTorch's names and in PyTorch's layout; their data is not read yet.

    Raises:
        ValueError: for a file that is not HDF5, is truncated, leads out of itself by links, or has two tensors of
            one name that differ.
    """
    import h5py

    tensors: dict[str, Tensor] = {}
    try:
        with h5py.File(path, "r") as file:
            for key, dataset in _datasets(file, path):
                name, tensor = torch_name(key), _in_h5(path, key, dataset)
                # A layer that holds another's, as a masked language model's head the embeddings, repeats its weights.
                if name in tensors and not tensor.equals(tensors[name]):
                    raise ValueError(f"{path} has two tensors that stand for {name}, with other numbers in each.")
                tensors[name] = tensor
    except OSError as error:
        raise ValueError(f"{path} is not a whole HDF5 file: {error}.") from None
    return tensors


def torch_name(key: str) -> str:
    """PyTorch's name of a weight of Transformers' TensorFlow classes, by the rules these classes kept to.

    `a___b` stands for b, `_._` parts the levels of lists, the first two levels name the model.
    """
    key = re.sub(r"/[^/]*___([^/]*)", r"/\1", key.removesuffix(":0")).replace("_._", "/")
    *levels, last = [level for level in key.split("/") if level][2:]
    return ".".join([*levels, _WEIGHT.get(last, last)])


def _datasets(group, path: Path) -> Iterator[tuple[str, object]]:
    """The datasets below a group by their whole names, from this file alone."""
    import h5py

    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{path}: {group.name}/{name} is a link, perhaps to another file: it is not followed.")
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from _datasets(item, path)
        elif item.external or item.is_virtual:
            raise ValueError(f"{path}: {item.name} keeps its data in another file: it is not followed.")
        else:
            yield item.name, item


def _in_h5(path: Path, key: str, dataset) -> Tensor:
    import h5py

    axes = _TO_TORCH.get(dataset.ndim) if key.removesuffix(":0").endswith("/kernel") else None
    shape = dataset.shape if axes is None else tuple(dataset.shape[axis] for axis in axes)
    row = len(shape) == 2 and shape[0] == 1 and key.removesuffix(":0").endswith("/bias")

    def rows(start: int, stop: int) -> np.ndarray:
        with h5py.File(path, "r") as file:
            if row:
                return file[key][0, start:stop]
            if axes is None:
                return file[key][start:stop]
            return file[key][..., start:stop].transpose(axes)  # the first axis there is the last one here

    return Tensor(shape[1:] if row else shape, dataset.dtype, rows, path)
