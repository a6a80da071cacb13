"""The directory of a checkpoint, which may be on the hub."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from keras_tx.convert.directory import CONFIG, GENERATION_CONFIG, H5_WEIGHTS, INDEX, NPZ, WEIGHTS, shard_places
from keras_tx.hub import download, require_hub_id


def locate(
    source: str | Path,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
    also: Iterable[str] = (),
) -> Path:
    """The directory that `source` names; what is on the Hugging Face hub is downloaded into its cache first.

    Only what is needed is downloaded: the configs, and the weights in one form, safetensors before `tf_model.h5`.

    Args:
        source: a directory, an `.npz`, or a hub id such as "openai-community/gpt2".
        revision: branch, tag or commit on the hub; "main" unless given.
        cache_dir: the hub's cache; as `huggingface_hub` has it (`HF_HOME`) unless given.
        local_files_only: take what is in the cache and ask no server. So does HF_HUB_OFFLINE=1.
        token: for what is not public, as `huggingface_hub` takes it.
        also: names of further files, such as a tokenizer's, to be downloaded if the hub has them.

    Raises:
        FileNotFoundError: if there is neither such a directory nor, within reach, such a hub id.
    """
    if Path(source).is_dir() or (Path(source).suffix == NPZ and Path(source).is_file()):
        return Path(source)
    require_hub_id(source)

    def get(name: str, *, required: bool = False) -> Path | None:
        return download(str(source), name, revision, cache_dir, local_files_only, token, required=required)

    config = get(CONFIG, required=True)
    if config is None:
        raise FileNotFoundError(f"the hub's {source} holds no {CONFIG}.")
    for name in (GENERATION_CONFIG, *also):
        get(name)
    if not get(WEIGHTS):
        if index := get(INDEX):
            for shard in sorted(set(shard_places(index).values())):
                get(shard)
        else:
            get(H5_WEIGHTS)
    return config.parent
