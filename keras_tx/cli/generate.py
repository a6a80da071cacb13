"""`keras-tx generate`: text from a trained run, printed as it comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

import typer

from keras_tx.cli.console import named, quiet
from keras_tx.cli.options import MAX_SEED, RunArgument, not_negative, probability


def generate(
    run: RunArgument,
    prompt: Annotated[str, typer.Option(help="Text to continue.")] = "\n",
    length: Annotated[int, typer.Option(min=1, help="Number of characters to add.")] = 500,
    temperature: Annotated[
        float,
        typer.Option(callback=not_negative, help="Sampling temperature; 0 always takes the likeliest character."),
    ] = 0.8,
    top_k: Annotated[int, typer.Option(min=0, help="Sample from so many of the likeliest characters; 0 for all.")] = 0,
    top_p: Annotated[
        float,
        typer.Option(
            callback=probability, help="Sample from the likeliest characters that add up to this probability."
        ),
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="The same seed gives the same text.")] = 0,
) -> None:
    """Continue a prompt, and print the text as it is generated."""
    if not prompt:
        raise ValueError("--prompt must not be empty: give at least one character.")
    with quiet():
        import keras  # noqa: F401
        import tensorflow  # noqa: F401 - for tokenizers, on any backend
    from keras_tx.training import Run

    model, tokenizer = Run(run).load_model()
    with named("--prompt"):
        tokenizer.encode(prompt)
    pieces = continued(model, tokenizer, prompt, length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    for _ in echo(pieces):
        pass


def continued(
    model, tokenizer, prompt: str, length: int, *, temperature: float, top_k: int = 0, top_p: float = 1.0, seed: int
) -> Iterator[str]:
    """Yields the prompt, then pieces of text as they are generated."""
    from keras_tx.generation import stream_rolling

    drawn = {"do_sample": True, "temperature": temperature, "top_k": top_k, "top_p": top_p} if temperature else {}
    ids = tokenizer(prompt)["input_ids"]
    yield prompt
    for new in stream_rolling(model, ids, max_new_tokens=length, seed=seed, chunk=8, **drawn):
        yield tokenizer.decode(new[0])


def echo(pieces: Iterable[str]) -> Iterator[str]:
    """Passes pieces of text on, printing each."""
    for piece in pieces:
        typer.echo(piece, nl=False)
        yield piece
    typer.echo()
