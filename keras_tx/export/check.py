"""Checks that a SavedModel answers as its model does, in a process that has TensorFlow alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from keras_tx.export.formats import SAVED_MODEL
from keras_tx.export.process import Request, run_artifacts
from keras_tx.export.signature import Signature

TOLERANCE = 1e-5
"""How far an artifact's numbers may be from its model's in float32, relative to the largest, or to 1."""
SHAPES = ((1, 3), (3, 7), (2, 13))
"""Rows and tokens of the requests."""
SPARE = 1000
"""One integer of so many may differ, where it is a choice between equals."""


def sample_requests(signatures: Mapping[str, Signature], seed: int = 0) -> list[Request]:
    """Random requests to all signatures: of one row, and of ragged batches."""
    rng = np.random.default_rng(seed)
    return [
        (name, signature.sample(rng, *shape))
        for name, signature in signatures.items()
        for shape in SHAPES[: 1 if signature.slow else None]
    ]


def check_saved_model(directory: Path, signatures: Mapping[str, Signature], requests: list[Request]) -> None:
    """Gives an artifact and the model the same requests.

    Args:
        directory: of the SavedModel.
        signatures: what it was made of, run in this process.
        requests: to both.

    Raises:
        ValueError: if an answer differs, or the artifact cannot be run.
    """
    (answers,) = run_artifacts([(SAVED_MODEL, directory, requests)])
    compare_answers(signatures, requests, answers)


def compare_answers(
    signatures: Mapping[str, Signature], requests: list[Request], answers: Mapping[str, np.ndarray]
) -> None:
    """Raises ValueError unless these are the answers that the signatures give here."""
    for number, (name, inputs) in enumerate(requests):
        expected = signatures[name](**{key: _tensor(x) for key, x in inputs.items()})
        for key, wanted in expected.items():
            _compare(f"`{name}`'s {key}", answers[f"{number}/{key}"], np.asarray(wanted), drawn=signatures[name].drawn)


def _tensor(x: np.ndarray):
    import tensorflow as tf

    return tf.constant(x.tolist() if x.dtype.kind == "S" else x)


def _compare(what: str, found: np.ndarray, wanted: np.ndarray, *, drawn: bool = False) -> None:
    if wanted.dtype.kind == "O":
        wanted = wanted.astype("S")
    if found.shape != wanted.shape:
        raise ValueError(f"the SavedModel differs from the model: {what} is {found.shape}, not {wanted.shape}.")
    if drawn:  # what the same graph draws with a seed is compared as `generate`'s
        return
    if wanted.dtype.kind == "f":
        difference = float(np.max(np.abs(found - wanted), initial=0.0))
        allowed = TOLERANCE * max(1.0, float(np.max(np.abs(wanted), initial=0.0)))
        if not difference <= allowed:
            raise ValueError(
                f"the SavedModel differs from the model: {what} by {difference:.3g}, more than {allowed:.3g}."
            )
    elif np.sum(found != wanted) > wanted.size // SPARE:
        place = tuple(np.argwhere(found != wanted)[0])
        raise ValueError(f"the SavedModel differs from the model: {what} is {found[place]!r}, not {wanted[place]!r}.")
