"""A hub's cache on disk, laid out as `huggingface_hub` lays it out."""

from pathlib import Path


def put_into_cache(cache: Path, hub_id: str, directory: Path, commit: str = "1" * 40, revision: str = "main") -> None:
    """Puts the files of a directory into a cache, as a snapshot of a repository."""
    repository = cache / f"models--{hub_id.replace('/', '--')}"
    snapshot, blobs, refs = (repository / name for name in (f"snapshots/{commit}", "blobs", "refs"))
    for folder in (snapshot, blobs, refs):
        folder.mkdir(parents=True, exist_ok=True)
    for file in (path for path in directory.rglob("*") if path.is_file()):
        place = file.relative_to(directory)
        blob = blobs / f"{commit}-{'-'.join(place.parts)}"
        blob.write_bytes(file.read_bytes())
        (snapshot / place).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / place).symlink_to(Path(*[".."] * (1 + len(place.parts)), "blobs", blob.name))
    (refs / revision).write_text(commit)
