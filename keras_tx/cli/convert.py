"""`keras-tx convert`: a checkpoint from one format to another."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from keras_tx.cli.console import progress_bar, quiet, warnings_as_lines
from keras_tx.cli.options import RevisionOption, SourceArgument
from keras_tx.files import size_of, whole_directory

if TYPE_CHECKING:
    from keras_tx.convert import CheckpointDirectory


def convert(
    source: SourceArgument,
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="Directory to write.", show_default=False)],
    format: Annotated[
        Literal["keras_tx", "huggingface", "timm"],
        typer.Option(help="What to write: ours, or what Transformers or timm loads."),
    ] = "keras_tx",
    revision: RevisionOption = None,
    max_shard_size: Annotated[str, typer.Option(help="Weights of more than that become several files.")] = "5GB",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the checkpoint that DEST holds.")] = False,
) -> None:
    """Write a checkpoint in another format.

    DEST gets the whole of it, weights in float32 and the tokenizer's or preprocessor's files, or is left as it was.
    """
    destination = destination.resolve()
    _require_free(destination, overwrite)
    with quiet():
        import keras  # noqa: F401
    from keras_tx.convert import PREPROCESSOR, CheckpointDirectory, locate, read_preprocessing
    from keras_tx.models.core.auto import model_class
    from keras_tx.text import TOKENIZER_FILES

    path = locate(source, revision=revision, also=TOKENIZER_FILES)
    if path.resolve().is_relative_to(destination):
        raise ValueError(f"DEST {destination} is or holds the source {path}: choose another directory.")
    checkpoint = CheckpointDirectory(path)
    cls = model_class(checkpoint.config)
    with warnings_as_lines(), progress_bar("reading") as progress:
        model = cls.from_checkpoint(checkpoint, progress=progress)
    with whole_directory(destination) as partial:
        with progress_bar("writing") as progress:
            model.save_pretrained(partial, format, max_shard_size=max_shard_size, progress=progress)
        tokenizer = _write_tokenizer(checkpoint, partial)
        preprocessed = read_preprocessing(partial) is not None
    typer.echo(f"{cls.__name__}, {model.count_params():,} parameters")
    typer.echo(f"{path}: {size_of({tensor.file for tensor in checkpoint.tensors.values()}):,} bytes of weights")
    typer.echo(f"{destination}: {size_of(destination.glob('*.safetensors')):,} bytes of weights")
    if preprocessed:
        typer.echo(f"preprocessor: {PREPROCESSOR if (destination / PREPROCESSOR).exists() else 'config.json'}")
    else:
        typer.echo(f"tokenizer: {', '.join(tokenizer) or 'none, for the source has none'}")


def _write_tokenizer(checkpoint: CheckpointDirectory, destination: Path) -> list[str]:
    """The names of the tokenizer's files, which are copied, or of a preset written as those of Transformers."""
    from keras_tx.text import TOKENIZER_FILES, load_tokenizer

    found = [name for name in TOKENIZER_FILES if (checkpoint.path / name).exists()]
    if found and checkpoint.is_preset:
        load_tokenizer(checkpoint.path).save_pretrained(destination)
        return [name for name in TOKENIZER_FILES if (destination / name).exists()]
    for name in found:
        shutil.copyfile(checkpoint.inside(name), destination / name)
    return found


def _require_free(destination: Path, overwrite: bool) -> None:
    """Raises ValueError unless DEST is new, empty, or a checkpoint that may be replaced."""
    if not destination.exists() or (destination.is_dir() and not any(destination.iterdir())):
        return
    if not (destination / "config.json").is_file():
        raise ValueError(f"DEST {destination} exists and is not a checkpoint: choose a new directory.")
    if not overwrite:
        raise ValueError(f"DEST {destination} already holds a checkpoint: choose a new directory, or pass --overwrite.")
