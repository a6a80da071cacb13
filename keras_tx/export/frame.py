"""The frame of all exporters: prepare the model, write the artifact whole, and check it before it is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import keras

from keras_tx.convert import effective_weights
from keras_tx.export.formats import Format
from keras_tx.extras import require_extra
from keras_tx.files import whole_directory, whole_file
from keras_tx.models.core.base import Model

Progress = Callable[[int, int], None]
"""Called with the number of steps done, and of all."""
Found = TypeVar("Found")


def exportable(model: Model, format: Format) -> Model:
    """Returns what is exported of a model: itself, or a copy in float32 if it computes in another dtype.

    Raises:
        ValueError: for a model that cannot be written in the format.
        ImportError: if a library is missing.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"{format.title} is made on the TensorFlow backend; this is {keras.backend.backend()!r}. Save the model as "
            "`.keras` and load it with KERAS_BACKEND=tensorflow."
        )
    if not isinstance(model, Model):
        raise ValueError(f"{format.title} is made of a model of keras_tx, as `GPTModel`; got a {type(model).__name__}.")
    if format.one_file and (size := 4 * model.count_params()) >= 2**31:
        raise ValueError(
            f"{format.title} holds less than 2 GiB; this model's weights are {size / 2**30:.1f} GiB in float32: export "
            "a SavedModel."
        )
    for module in format.modules:
        require_extra(module, format.extra)
    layers = model._flatten_layers()  # all of them, parts of parts too, which Keras has no public way to list
    return model if all(layer.compute_dtype == "float32" for layer in layers) else in_float32(model)


def in_float32(model: Model) -> Model:
    """Returns a copy of a model that computes in float32; what LoRA adds is part of its weights.

    Raises:
        ValueError: for a model that Keras has quantized.
    """
    values = effective_weights(model, model.weights_by_path())
    copy = type(model).from_config(_with_float32(model.get_config()))
    for path, weight in copy.weights_by_path().items():
        weight.assign(values[path][1]())
    return copy


def _with_float32(config: Any) -> Any:
    """A Keras config whose dtype policies, of parts too, are float32."""
    if not isinstance(config, dict):
        return config
    return {name: "float32" if name == "dtype" else _with_float32(value) for name, value in config.items()}


def write_artifact(
    format: Format,
    path: str | Path,
    write: Callable[[Path], None],
    check: Callable[[Path], Found],
    *,
    progress: Progress | None = None,
    in_parts: bool = False,
) -> Found:
    """Writes an artifact and checks it; only then does it take the place of what was at the path before.

    Args:
        format: its format.
        path: where it is to be.
        write: writes it to a path: a file's, or an empty directory's.
        check: raises ValueError if what lies there does not answer as the model does.
        progress: called when it is written, and when it is checked.
        in_parts: whether it is a directory with the files of an encoder-decoder, in a format of files.

    Returns:
        What `check` does.

    Raises:
        ValueError: for a path that does not fit the format, or that holds something else.
    """
    path, step = Path(path), progress or (lambda done, total: None)
    is_file = bool(format.suffix) and not in_parts
    _require_file(path, format) if is_file else _require_directory(path, format)
    with (whole_file if is_file else whole_directory)(path) as partial:
        write(partial)
        step(1, 2)
        found = check(partial)
    step(2, 2)
    return found


def _require_file(path: Path, format: Format) -> None:
    if path.suffix != format.suffix or path.is_dir():
        raise ValueError(f"`path` must name a file that ends in {format.suffix}; got {path}.")


def _require_directory(path: Path, format: Format) -> None:
    """Raises ValueError for what is no directory's path, or is there and not ours to replace."""
    if format.suffix and path.suffix == format.suffix:
        raise ValueError(
            f"an encoder-decoder becomes {len(format.contents)} files, {' and '.join(format.contents)}: `path` must "
            f"name a directory for them; got {path}. With `use_cache=False` it becomes one file, of whole passes."
        )
    names = [file.name for file in path.iterdir()] if path.is_dir() else []
    ours = not names or (format.contents[0] in names and set(names) <= {*format.contents})
    if path.is_file() or not ours:
        what = format.title if not format.suffix else f"{format.title.rsplit(' ', 1)[0]} encoder-decoder"
        raise ValueError(f"{path} exists and is not {what}, or holds other files too: choose a new directory.")
