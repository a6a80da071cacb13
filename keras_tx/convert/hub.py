"""The directory of a checkpoint, which may be on the hub."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from keras_tx.convert.directory import (
    CONFIG,
    GENERATION_CONFIG,
    H5_INDEX,
    H5_WEIGHTS,
    INDEX,
    NPZ,
    WEIGHTS,
    shard_places,
)
from keras_tx.convert.preprocessing import PREPROCESSOR
from keras_tx.convert.preset import (
    PRESET_INDEX,
    PRESET_WEIGHTS,
    TASK,
    TASK_WEIGHTS,
    is_preset,
    preset_shards,
)
from keras_tx.extras import has_extra
from keras_tx.files import read_json
from keras_tx.hub import HUB_SCHEME, Get, download, is_handle, is_preset_name, preset_getter, require_hub_id


def locate(
    source: str | Path,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
    also: Iterable[str] = (),
) -> Path:
    """Returns the directory that `source` names; what is on a hub is downloaded into its cache first.

    Only what is needed is downloaded: the configs, and the weights in one form, safetensors before `tf_model.h5`,
    whole or in shards.

    Args:
        source: a directory, an `.npz`, or a hub id such as "openai-community/gpt2", with "hf://" before it or not. With
            KerasHub installed also one of its presets, as "bert_base_en" or "kaggle://keras/bert/keras/bert_base_en".
        revision: branch, tag or commit on the hub; "main" unless given.
        cache_dir: the hub's cache; as `huggingface_hub` has it (`HF_HOME`) unless given.
        local_files_only: take what is in the cache and ask no server. So does HF_HUB_OFFLINE=1.
        token: for what is not public, as `huggingface_hub` takes it.
        also: names of further files, such as a tokenizer's, to be downloaded if the hub has them.

    Raises:
        FileNotFoundError: if there is neither such a directory nor, within reach, such a hub id.
        MissingExtraError: for a handle that takes KerasHub, where that is not installed.
    """
    if Path(source).is_dir() or (Path(source).suffix == NPZ and Path(source).is_file()):
        return Path(source)
    get = _getter(source, revision, cache_dir, local_files_only, token)
    config = get(CONFIG)
    if config is None:
        raise FileNotFoundError(f"the hub's {source} holds no {CONFIG}.")
    for name in also:
        get(name)
    if is_preset(read_json(config)):
        _get_preset(get)
    else:
        _get_weights(get)
    return config.parent


def _getter(source: str | Path, *options: Any) -> Get:
    """Returns what downloads the files of a source that is no directory; `options` are those of `download`."""
    hub_id = str(source).removeprefix(HUB_SCHEME)
    if is_handle(hub_id):
        return preset_getter(hub_id)
    require_hub_id(hub_id)
    try:
        download(hub_id, CONFIG, *options, required=True)
    except FileNotFoundError as error:
        if is_preset_name(source):
            return preset_getter(str(source))
        raise FileNotFoundError(f"{error}{_hint(source)}") from None
    return lambda name: download(hub_id, name, *options)


def _hint(source: str | Path) -> str:
    """Returns what more may find a name that is no directory and not on the hub."""
    if "/" in str(source) or has_extra("keras_hub"):
        return ""
    return ' If it is one of KerasHub\'s presets: `pip install "keras_tx[keras-hub]"`.'


def _get_weights(get: Get) -> None:
    get(GENERATION_CONFIG)
    get(PREPROCESSOR)
    for whole, parts in ((WEIGHTS, INDEX), (H5_WEIGHTS, H5_INDEX)):
        if get(whole):
            return
        if index := get(parts):
            for shard in sorted(set(shard_places(index).values())):
                get(shard)
            return


def _get_preset(get: Get) -> None:
    if get(TASK):
        get(TASK_WEIGHTS)
    if not get(PRESET_WEIGHTS) and (index := get(PRESET_INDEX)):
        for shard in preset_shards(index):
            get(shard)
