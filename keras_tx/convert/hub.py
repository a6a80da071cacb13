"""From a directory's path or a hub id to a directory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from keras_tx.convert.directory import CONFIG, GENERATION_CONFIG, H5_WEIGHTS, INDEX, NPZ, WEIGHTS, shard_places


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
    _require_hub_id(str(source))
    options = {
        "revision": revision,
        "cache_dir": cache_dir,
        "local_files_only": local_files_only,
        "token": token,
    }
    config = _download(str(source), CONFIG, options)
    if config is None:
        raise FileNotFoundError(f"the hub's {source} holds no {CONFIG}.")
    for name in (GENERATION_CONFIG, *also):
        _download(str(source), name, options)
    if not _download(str(source), WEIGHTS, options):
        index = _download(str(source), INDEX, options)
        if index:
            for shard in sorted(set(shard_places(index).values())):
                _download(str(source), shard, options)
        else:
            _download(str(source), H5_WEIGHTS, options)
    return config.parent


def _require_hub_id(source: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(source)
    except HFValidationError:
        raise FileNotFoundError(
            f"there is no directory {source}, and that is no hub id, such as openai-community/gpt2."
        ) from None


def _download(hub_id: str, name: str, options: dict[str, Any]) -> Path | None:
    """The file in the cache, or None if the hub has no such file.

    Raises:
        FileNotFoundError: if the hub cannot be reached and the cache does not have the file, or there is no such id.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(hf_hub_download(hub_id, name, **options))
    except LocalEntryNotFoundError as error:
        if name != CONFIG:  # the config was found, so the cache has the snapshot, and this is not part of it
            return None
        raise FileNotFoundError(
            f"there is no directory {hub_id}, and the hub's {hub_id} is neither in the cache nor within reach: {error}"
        ) from None
    except EntryNotFoundError:
        return None
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise FileNotFoundError(f"there is no directory {hub_id}, and no such model on the hub: {error}") from None
