"""The inputs with which int8 finds the ranges of activations, from what users have: rows, all of one shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from keras_tx.export.signature import Signature

OPTIONAL = {
    "attention_mask": ("input_ids", 1),
    "token_type_ids": ("input_ids", 0),
    "global_attention_mask": ("input_ids", 0),
    "decoder_attention_mask": ("decoder_input_ids", 1),
}
"""The inputs that data may lack: which input has their shape, and what they then hold."""

Data = Iterable[Any] | Mapping[str, Any] | Callable[[], Iterable[Any]]
"""Batches, or a function that gives them."""


def calibration_data(signature: Signature, data: Data) -> list[dict[str, np.ndarray]]:
    """Returns data as inputs of a signature, each of one row or of as many as the signature fixes.

    LiteRT's calibrator takes the sizes of the first inputs for those of all: shorter texts are padded on the right.

    Args:
        signature: `serving_default`.
        data: batches, or a function that gives them as TensorFlow's `representative_dataset` does: each a dict by name,
            a list of arrays in the signature's order, or an array of the first input; of a tuple, which has labels,
            too, the first counts. A dict or an array is one batch.

    Raises:
        ValueError: if there is no row, if inputs are missing or of another rank, and for what the model refuses.
    """
    batches = data() if callable(data) else data
    if isinstance(batches, Mapping) or hasattr(batches, "shape"):
        batches = [batches]
    rows = [row for batch in batches for row in _rows(signature, batch)]
    if not rows:
        raise ValueError("`representative_data` is empty: give some inputs as the model will get them.")
    for name, spec in signature.inputs.items():
        longest = np.max([row[name].shape for row in rows], axis=0, initial=0).astype(int).tolist()
        sizes = [fixed or size for fixed, size in zip(spec.shape[1:], longest, strict=True)]
        for row in rows:
            row[name] = _padded(row[name], name, sizes)
    count = next(iter(signature.inputs.values())).shape[0] or 1
    groups = [[rows[i % len(rows)] for i in range(start, start + count)] for start in range(0, len(rows), count)]
    found = [{name: np.stack([row[name] for row in group]) for name in signature.inputs} for group in groups]
    for inputs in found:
        _require_taken(signature, inputs)
    return found


def _rows(signature: Signature, batch: Any) -> Iterator[dict[str, np.ndarray]]:
    """The rows of a batch, by name, each with every input."""
    specs = signature.inputs
    if isinstance(batch, tuple):
        batch = batch[0]
    if isinstance(batch, list) and all(hasattr(x, "shape") for x in batch):
        batch = dict(zip(specs, batch, strict=False))
    if not isinstance(batch, Mapping):
        batch = {next(iter(specs)): batch}
    given = {name: np.asarray(batch[name]) for name in specs if name in batch}
    for name, (like, value) in OPTIONAL.items():
        if name in specs and name not in given and like in given:
            given[name] = np.full_like(given[like], value)
    if missing := [name for name in specs if name not in given]:
        raise ValueError(f"`representative_data` must have {', '.join(map(repr, specs))}; {missing[0]!r} is missing.")
    for name, spec in specs.items():
        x = given[name]
        if x.ndim != spec.shape.rank or len(x) != len(given[next(iter(specs))]):
            raise ValueError(
                f"`representative_data` must have {name!r} of shape {tuple(spec.shape)}, as many rows as of other "
                f"inputs; got {x.shape}."
            )
        if spec.dtype.is_integer == (x.dtype.kind in "iu"):  # otherwise the model says what it takes
            given[name] = x.astype(spec.dtype.as_numpy_dtype)
    for i in range(len(given[next(iter(specs))])):
        yield {name: given[name][i] for name in specs}


def _padded(x: np.ndarray, name: str, sizes: list[int]) -> np.ndarray:
    """An input of one row, filled up with zeros, which masks hide."""
    more = [size - have for size, have in zip(sizes, x.shape, strict=True)]
    if min(more, default=0) < 0:
        raise ValueError(f"`representative_data` has {name!r} of {x.shape} in a row, more than is fixed: {sizes}.")
    return np.pad(x, [(0, n) for n in more])


def _require_taken(signature: Signature, inputs: Mapping[str, np.ndarray]) -> None:
    """Raises ValueError for inputs that the model refuses, before LiteRT's converter does without saying why."""
    import tensorflow as tf

    try:
        signature(**{name: tf.constant(x) for name, x in inputs.items()})
    except ValueError as error:
        raise ValueError(f"`representative_data` does not fit the model. {error}") from error
