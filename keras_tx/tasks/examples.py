"""Examples as tasks are given them: lists and arrays of strings or bytes, datasets, generators, or one by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_tx.tensorflow import is_dataset


class Labelled(NamedTuple):
    """Examples, and as many labels, and weights if there are any."""

    examples: list
    labels: list
    sample_weight: list | None


def listed(examples: Any, depth: int = 0) -> list:
    """Examples as a list of Python's own strings; a string by itself is a list of one.

    Args:
        examples: strings or bytes, pairs or lists of them; an array, a tensor, a `tf.data.Dataset`, in batches or not,
            or a generator.
        depth: how many lists deep the strings of an example lie: 1 where examples are lists of words.
    """
    if isinstance(examples, (str, bytes)):
        examples = [examples]
    elif is_dataset(examples):
        examples = _rows(examples, depth)
    elif not isinstance(examples, Iterator) and not isinstance(examples, (list, tuple)):
        examples = np.asarray(examples)
    return [plain(example) for example in examples]


def labelled(examples: Any, labels: Any, sample_weight: Any = None, depth: int = 0) -> Labelled:
    """Examples and labels, given apart or as a dataset or generator of both.

    Args:
        examples: as `listed` takes them; or with `labels` None a `tf.data.Dataset` or an iterable of (example, label)
            or (example, label, weight), or of batches of them.
        labels: one for each example.
        sample_weight: likewise; None for none.
        depth: as of `listed`.

    Raises:
        ValueError: where there are no labels.
    """
    if labels is None:
        rows = list(_rows(examples, depth) if is_dataset(examples) else _unbatched(examples, depth))
        if not rows or not all(isinstance(row, tuple) and len(row) in (2, 3) for row in rows):
            raise ValueError(
                "give `labels`; or a dataset or generator of (example, label) or (example, label, weight)."
            )
        columns = [list(map(plain, column)) for column in zip(*rows, strict=True)]
        return Labelled(columns[0], columns[1], columns[2] if len(columns) > 2 else sample_weight)
    if isinstance(examples, (str, bytes)):
        labels = [labels]
    weights = None if sample_weight is None else listed(sample_weight)
    return Labelled(listed(examples, depth), listed(labels), weights)


def plain(value: Any) -> Any:
    """The same of Python's own strings and numbers: bytes are UTF-8, arrays lists."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    if isinstance(value, (list, set, frozenset)):
        return list(map(plain, value))
    return value if value is None or isinstance(value, (str, int, float)) else plain(np.asarray(value).tolist())


def _rows(dataset: Any, depth: int) -> Iterable:
    """The elements of a dataset, one by one where it has batches."""
    strings = keras.tree.flatten(dataset.element_spec)[0]
    return (dataset.unbatch() if len(strings.shape) > depth else dataset).as_numpy_iterator()


def _unbatched(elements: Iterable, depth: int) -> Iterator:
    """(example, label, ...) of elements that are such tuples, or batches of them."""
    for element in elements:
        batch = isinstance(element, tuple) and _depth(element[0]) > depth
        yield from zip(*map(listed, element), strict=True) if batch else (element,)


def _depth(example: Any) -> int:
    """How many lists deep the strings of an example lie; pairs are none."""
    if isinstance(example, tuple):
        return _depth(example[0])
    return 1 + _depth(example[0]) if isinstance(example, (list, np.ndarray)) and len(example) else 0
