"""`keras-tx prepare`: texts to records that masked language models are pre-trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from keras_tx.cli.console import named, progress_bar, quiet
from keras_tx.cli.options import MAX_SEED
from keras_tx.files import size_of


def prepare(
    tokenizer: Annotated[Path, typer.Argument(help="Directory of a tokenizer.", show_default=False)],
    output: Annotated[Path, typer.Argument(help="Directory to write, new or empty.", show_default=False)],
    text: Annotated[
        list[Path] | None,
        typer.Option(help="File of text, a sentence a line and a blank line between documents; several may be given."),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Name of a TFDS set, whose text is so split.")] = None,
    rows: Annotated[
        Literal["packed", "pairs"],
        typer.Option(help="Full rows of text, as RoBERTa's; or pairs of which the second follows or not, as BERT's."),
    ] = "packed",
    max_length: Annotated[int, typer.Option(min=1, help="Tokens of a row.")] = 128,
    shards: Annotated[int, typer.Option(min=1, help="Number of files.")] = 1,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Of the pairs.")] = 0,
) -> None:
    """Write texts as TFRecord files to pre-train BERT on.

    OUTPUT gets all of them, an index.npy and a manifest.json, or is left as it was. Masks are drawn in training.
    """
    with quiet():
        import keras  # noqa: F401
    from keras_tx.text import dataset_text, load_tokenizer
    from keras_tx.training.data.documents import Documents, pack, read_documents, split_documents
    from keras_tx.training.data.records import write_records
    from keras_tx.training.data.sentence_pairs import sentence_pairs

    with named("TOKENIZER"):
        found = load_tokenizer(tokenizer)
    if bool(text) == bool(dataset):
        raise ValueError("give --text or --dataset, one of them.")
    with named("--dataset" if dataset else "--text"):
        texts = split_documents(dataset_text(dataset)) if dataset else read_documents(text or ())
        documents = Documents.of(texts, found)
    with named("--rows"):
        if rows == "packed":
            made = pack(documents, found, max_length)
        else:
            made = sentence_pairs(documents, found, max_length, seed=seed)
    source = {"dataset": dataset} if dataset else {"text": [str(path) for path in text or ()]}
    settings = {"rows": rows, "max_length": max_length, "seed": seed, **source}
    with progress_bar("writing") as progress:
        manifest = write_records(output, made, found, shards=shards, settings=settings, progress=progress)
    typer.echo(
        f"{len(documents):,} documents, {len(documents.ids):,} tokens; {manifest['rows']:,} rows of {max_length}"
    )
    typer.echo(f"{output}: {shards} shards, {size_of(output.iterdir()):,} bytes")
