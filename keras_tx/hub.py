"""Files of repositories on the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


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
        source: a directory, or a hub id such as "openai-community/gpt2".
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
    require_hub_id(source)

    def get(name: str) -> Path | None:
        return download(str(source), name, revision, cache_dir, local_files_only, token)

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
