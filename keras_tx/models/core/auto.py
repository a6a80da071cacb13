"""`load_pretrained`: loads a checkpoint as a model of the class that it names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_tx import convert
from keras_tx.models.core.base import Model
from keras_tx.models.core.pretrained import NATIVE, require_known_version
from keras_tx.models.core.registry import MODELS


def load_pretrained(
    source: str | Path,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
    **options: Any,
) -> Model:
    """Returns the model that a checkpoint holds, of the class that its config names.

    A peer's backbone without a head becomes the first of the family's classes: GPT's language model, `BERTModel`.

    Args:
        source: a directory, a hub id such as "openai-community/gpt2", or a preset of KerasHub's, as `from_pretrained`
            takes them.
        revision, cache_dir, local_files_only, token: as `from_pretrained` takes them.
        options: what else it takes: `name`, `dtype`, `progress`, and fields of the config to replace.

    Raises:
        FileNotFoundError: if there is nothing to load.
        ValueError: if no class of ours fits, or the files are broken.
    """
    path = convert.locate(
        source, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only, token=token
    )
    checkpoint = convert.CheckpointDirectory(path)
    return model_class(checkpoint.config).from_checkpoint(checkpoint, **options)


def model_class(config: Mapping[str, Any]) -> type[Model]:
    """Returns our class for a checkpoint's `config.json`.

    Raises:
        ValueError: if there is none.
    """
    if NATIVE in config:
        require_known_version(config)
        if config.get("class") not in MODELS:
            raise ValueError(f"the checkpoint holds a {config.get('class')}; known are {', '.join(sorted(MODELS))}.")
        return MODELS[config["class"]].cls
    families = _families()
    family = convert.choose(families, config)
    if family is None:
        raise ValueError(
            f"the checkpoint's {convert.kind(config)}; known are "
            f"{', '.join(map(repr, sorted({family.model_type for family in families})))}."
        )
    return MODELS[family.class_name(config)].cls


def _families() -> list[convert.Family]:
    """Returns every family that some registered class can be read from."""
    formats = [format for entry in MODELS.values() for format in entry.cls.formats.values()]
    return [family for families in formats for family in families]
