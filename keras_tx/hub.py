"""Files of repositories on the Hugging Face hub, and of KerasHub's presets, which may lie elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from keras_tx.extras import has_extra, require_extra

HUB_SCHEME = "hf://"
"""What KerasHub has before a hub id."""

Get = Callable[[str], Path | None]
"""Downloads a file by name, and gives its place; None if there is no such file."""


def locate_files(
    source: str | Path,
    alternatives: Sequence[Sequence[str]],
    beside: Sequence[str] = (),
    *,
    what: str,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> Path:
    """Finds a directory, or downloads some files of a repository into the hub's cache.

    Args:
        source: a directory, or a hub id such as "openai-community/gpt2", with "hf://" before it or not. With KerasHub
            installed also one of its presets, as "bert_base_en" or "kaggle://keras/bert/keras/bert_base_en".
        alternatives: groups of files. Of the first group that the repository has a file of, all are downloaded.
        beside: further files to be downloaded if the repository has them.
        what: what the files hold, for errors.
        revision: branch, tag or commit on the hub; "main" unless given.
        cache_dir: the hub's cache; as `huggingface_hub` has it (`HF_HOME`) unless given.
        local_files_only: take what is in the cache and ask no server. So does HF_HUB_OFFLINE=1.
        token: for what is not public, as `huggingface_hub` takes it.

    Returns:
        The directory of the files; a directory given as `source` is returned as it is.

    Raises:
        FileNotFoundError: if there is neither such a directory nor, within reach, such a hub id with such files.
    """
    if Path(source).is_dir():
        return Path(source)
    for get in _getters(source, revision, cache_dir, local_files_only, token):
        for names in alternatives:
            found = [path for path in map(get, names) if path]
            if found:
                for name in beside:
                    get(name)
                return found[0].parent
    names = [name for group in alternatives for name in group]
    raise FileNotFoundError(
        f"there is no directory {source}, and no {what} of the hub's {source} is within reach or in the cache: "
        f"it would be {', '.join(names[:-1])} or {names[-1]}."
    )


def _getters(source: str | Path, *options: Any) -> list[Get]:
    """Returns what may find the files of a source that is no directory; `options` are those of `download`."""
    hub_id = str(source).removeprefix(HUB_SCHEME)
    if is_handle(hub_id):
        return [preset_getter(hub_id)]
    require_hub_id(hub_id)
    on_the_hub: Get = lambda name: download(hub_id, name, *options)  # noqa: E731
    return [on_the_hub, preset_getter(hub_id)] if is_preset_name(hub_id) else [on_the_hub]


def require_hub_id(source: str | Path) -> None:
    """Raises FileNotFoundError unless a string may be the id of a repository."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(str(source))
    except HFValidationError:
        raise FileNotFoundError(
            f"there is no directory {source}, and that is no hub id, such as openai-community/gpt2."
        ) from None


def download(
    hub_id: str,
    name: str,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
    *,
    required: bool = False,
) -> Path | None:
    """Downloads a file into the hub's cache unless it is there already.

    Args:
        hub_id: the repository.
        name: the file.
        revision, cache_dir, local_files_only, token: as of `locate_files`.
        required: whether it is an error that the hub cannot be reached and the cache does not have the file.

    Returns:
        The file in the cache; None if the hub has no such file, or can't be reached and the cache doesn't have it.

    Raises:
        FileNotFoundError: if there is no such repository or revision.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        path = hf_hub_download(
            hub_id, name, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only, token=token
        )
    except LocalEntryNotFoundError as error:
        if not required:
            return None
        raise FileNotFoundError(
            f"there is no directory {hub_id}, and the hub's {hub_id} is neither in the cache nor within reach: {error}"
        ) from None
    except EntryNotFoundError:
        return None
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise FileNotFoundError(f"there is no directory {hub_id}, and no such model on the hub: {error}") from None
    return Path(path)


# === KerasHub's presets ===


def is_handle(source: str | Path) -> bool:
    """Whether it is for KerasHub to find, as "kaggle://keras/bert/keras/bert_base_en" is."""
    return isinstance(source, str) and "://" in source


def is_preset_name(source: str | Path) -> bool:
    """Whether it is the name of one of KerasHub's presets; False where KerasHub is not installed."""
    if not (isinstance(source, str) and source.isidentifier() and has_extra("keras_hub")):
        return False
    from keras_hub.models import Backbone

    return source in Backbone.presets


def preset_getter(handle: str) -> Get:
    """A function that downloads a file of a preset by name, as KerasHub does; it gives None if there is no such file.

    Args:
        handle: a name of one of KerasHub's presets, or a handle as "kaggle://keras/bert/keras/bert_base_en".

    Raises:
        MissingExtraError: if KerasHub is not installed.
    """
    require_extra("keras_hub", "keras-hub")
    from keras_hub.src.utils.preset_utils import get_file

    def get(name: str) -> Path | None:
        try:
            return Path(get_file(handle, name))
        except FileNotFoundError:
            return None

    return get
