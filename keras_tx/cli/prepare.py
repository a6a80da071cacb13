"""`keras-tx prepare`: writes texts as records to pre-train masked language models on."""

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
        typer.Option(help="Text file, a sentence a line, a blank line between documents; may be repeated."),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="TFDS set whose text is taken instead.")] = None,
    rows: Annotated[
        Literal["packed", "pairs"],
        typer.Option(help="Full rows of text, as for RoBERTa; or pairs of segments, adjacent or not, as for BERT."),
    ] = "packed",
    max_length: Annotated[int, typer.Option(min=1, help="Tokens in a row.")] = 128,
    shards: Annotated[int, typer.Option(min=1, help="Number of files to write.")] = 1,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed that draws the pairs.")] = 0,
) -> None:
    """Write texts as TFRecord files to pre-train BERT on.

    OUTPUT gets the TFRecord files, an index.npy and a manifest.json, or is left as it was. Masks are drawn in training.
    """
    with quiet():
        import keras  # noqa: F401
        import tensorflow  # noqa: F401 - for tokenizers, on any backend
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
