"""A hub's cache on disk, laid out as `huggingface_hub` lays it out."""

from pathlib import Path


def put_into_cache(cache: Path, hub_id: str, directory: Path, commit: str = "1" * 40, revision: str = "main") -> None:
    """Puts the files of a directory into a cache, as a snapshot of a repository."""
    repository = cache / f"models--{hub_id.replace('/', '--')}"
    snapshot, blobs, refs = (repository / name for name in (f"snapshots/{commit}", "blobs", "refs"))
    for folder in (snapshot, blobs, refs):
        folder.mkdir(parents=True, exist_ok=True)
    for file in directory.iterdir():
        blob = blobs / f"{commit}-{file.name}"
        blob.write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(Path("..", "..", "blobs", blob.name))
    (refs / revision).write_text(commit)
