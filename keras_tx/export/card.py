"""`model_card.json`: what a SavedModel is, what it takes and gives, and the checksums of its files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_tx.files import dump_json
from keras_tx.version import __version__

FILE = "model_card.json"


def write_card(directory: Path, model, signatures: Mapping[str, Any], *, source: str | None, **more: Any) -> None:
    """Writes the card of a SavedModel into its directory.

    Args:
        directory: of the SavedModel, complete except for the card.
        model: its source.
        signatures: its concrete functions by name, as TensorFlow loads them.
        source: where the weights come from, if that is known.
        more: further entries.
    """
    import tensorflow as tf

    card = {
        "format": "SavedModel",
        "class": type(model).__name__,
        "config": model.config.to_dict(),
        "parameters": int(sum(np.prod(weight.shape) for weight in model.weights)),
        "source": source,
        "versions": {"keras_tx": __version__, "keras": keras.__version__, "tensorflow": tf.__version__},
        "signatures": {name: _described(function) for name, function in sorted(signatures.items())},
        **more,
        "files": {
            str(file.relative_to(directory)): {"bytes": file.stat().st_size, "sha256": sha256(file)}
            for file in sorted(directory.rglob("*"))
            if file.is_file()
        },
    }
    dump_json(directory / FILE, card)


def sha256(path: Path) -> str:
    """The SHA-256 checksum of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _described(function) -> dict[str, Any]:
    _, inputs = function.structured_input_signature
    return {
        "inputs": {name: _spec(spec) for name, spec in inputs.items()},
        "outputs": {name: _spec(spec) for name, spec in function.structured_outputs.items()},
    }


def _spec(spec) -> dict[str, Any]:
    return {"shape": None if spec.shape.rank is None else spec.shape.as_list(), "dtype": spec.dtype.name}
