"""KerasHub's presets: directories with a serialized backbone, its weights and, of a task, its head's.

They are read as the JSON and HDF5 that they are; no class that they name is imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from keras_tx.convert.h5 import read_h5
from keras_tx.convert.tensors import Tensor
from keras_tx.files import read_json

TASK = "task.json"
PRESET_WEIGHTS = "model.weights.h5"
PRESET_INDEX = "model.weights.json"
TASK_WEIGHTS = "task.weights.h5"

TASK_PREFIX = "task."
"""Before the names of a task's arguments, of which some are called as the backbone's are."""
TASK_TENSORS = "task/"
"""Before the names of its tensors."""

_REGISTERED = re.compile(r"(?:keras_hub|keras_nlp)>(\w+)")
_NO_ARGUMENTS = {"name", "trainable", "dtype", "backbone", "preprocessor"}
_OLD_LAYERS = "/_layer_checkpoint_dependencies/"


def is_preset(config: Mapping[str, Any]) -> bool:
    """Returns whether a `config.json` is that of a preset."""
    return "registered_name" in config


def preset_config(config: Mapping[str, Any], task: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns the arguments of a preset's classes by name, those of its task with `TASK_PREFIX`.

    Its `model_type` is "keras_hub/BACKBONE", and its one architecture the class of the task, or the backbone's.

    Args:
        config: what `config.json` holds.
        task: what `task.json` holds, if there is one.

    Raises:
        ValueError: if they are not of KerasHub's classes.
    """
    backbone, arguments = _serialized(config)
    named = {"model_type": f"keras_hub/{backbone}", "architectures": [backbone], **arguments}
    if task is not None:
        head, arguments = _serialized(task)
        if arguments.get("activation", "linear") is None:  # two spellings of no activation
            arguments["activation"] = "linear"
        named |= {"architectures": [head], **{f"{TASK_PREFIX}{name}": value for name, value in arguments.items()}}
    return named


def _serialized(config: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Returns the class that an object of Keras's is of, and the arguments it was made with."""
    registered = _REGISTERED.fullmatch(str(config.get("registered_name")))
    if not registered or not isinstance(config.get("config"), dict):
        raise ValueError(
            f"the config names a {config.get('registered_name') or config.get('class_name')!r}, which is none of "
            "KerasHub's classes."
        )
    return registered[1], {name: value for name, value in config["config"].items() if name not in _NO_ARGUMENTS}


def preset_tensors(weights: Iterable[Path], task_weights: Path | None) -> dict[str, Tensor]:
    """Returns the tensors of a preset by their paths in the files, those of its task below "task/".

    Args:
        weights: the file of the backbone's, or its shards.
        task_weights: the file of the head's, if there is one.
    """
    found = {name: tensor for file in weights for name, tensor in read_h5(file).items()}
    tensors = {name.replace(_OLD_LAYERS, "/layers/", 1).removeprefix("/"): tensor for name, tensor in found.items()}
    if task_weights:
        tensors |= {f"{TASK_TENSORS}{name[1:]}": tensor for name, tensor in read_h5(task_weights).items()}
    return tensors


def preset_shards(index: Path) -> list[str]:
    """Returns the files of an index of shards.

    Raises:
        ValueError: if it is no such index.
    """
    content = read_json(index)
    places = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(places, dict):
        raise ValueError(f'{index} must have a "weight_map" from layers to files.')
    files = {file for place in places.values() for file in (place if isinstance(place, list) else [place])}
    if not all(isinstance(file, str) for file in files):
        raise ValueError(f"{index} must name files.")
    return sorted(files)
