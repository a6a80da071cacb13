"""`keras-tx generate`: text from a trained run or a checkpoint, printed as it comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer

from keras_tx.cli.console import named, quiet
from keras_tx.cli.options import MAX_SEED, RevisionOption, is_given, not_negative, probability
from keras_tx.cli.sources import RunOrCheckpoint, run_of


def generate(
    context: typer.Context,
    source: RunOrCheckpoint,
    prompt: Annotated[
        str, typer.Option(help="Text to continue; for an encoder-decoder, such as T5, the source.")
    ] = "\n",
    length: Annotated[int, typer.Option(min=1, help="Number of tokens to add; of a run, characters.")] = 500,
    temperature: Annotated[
        float,
        typer.Option(
            callback=not_negative,
            help="Sampling temperature; 0 always takes the likeliest token. This and the next two are those of the "
            "checkpoint's generation_config.json, if it has them, unless they are given.",
        ),
    ] = 0.8,
    top_k: Annotated[int, typer.Option(min=0, help="Sample from so many of the likeliest tokens; 0 for all.")] = 0,
    top_p: Annotated[
        float,
        typer.Option(callback=probability, help="Sample from the likeliest tokens that add up to this probability."),
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="The same seed gives the same text.")] = 0,
    revision: RevisionOption = None,
) -> None:
    """Continue a prompt, and print the text as it is generated."""
    if not prompt:
        raise ValueError("--prompt must not be empty: give at least one character.")
    with quiet():
        import keras  # noqa: F401
        import tensorflow  # noqa: F401 - for tokenizers, on any backend

    model, tokenizer = _load(source, revision)
    with named("--prompt"):
        tokenizer.encode(prompt)
    chosen = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    own = model.generation_config.to_dict()
    if not own.keys().isdisjoint({*chosen, "do_sample"}):
        chosen = {name: value for name, value in chosen.items() if is_given(context, name)}
    for _ in echo(continued(model, tokenizer, prompt, length, seed=seed, **chosen)):
        pass


def _load(source: str, revision: str | None) -> tuple:
    """The model and the tokenizer of a run, of a checkpoint's directory or of a hub id."""
    from keras_tx.convert import locate
    from keras_tx.generation import GenerationMixin
    from keras_tx.models import load_pretrained
    from keras_tx.text import TOKENIZER_FILES, load_tokenizer

    run = run_of(source)
    if run is not None:
        return run.load_model()
    path = locate(source, revision=revision, also=TOKENIZER_FILES)
    model = load_pretrained(path)  # what it warns of goes to the error output, and the text alone to the other
    if not isinstance(model, GenerationMixin):
        raise ValueError(f"{source} holds a {type(model).__name__}, which does not generate text.")
    return model, load_tokenizer(path)


def continued(model, tokenizer, prompt: str, length: int, *, seed: int, **chosen: Any) -> Iterator[str]:
    """Yields the prompt, unless the model reads it by an encoder, then pieces of text as they are generated.

    Args:
        model: writes the text.
        tokenizer: of prompt and text.
        prompt: the text to continue, or the source.
        length: how many tokens to add at most.
        seed: makes the draws repeatable.
        chosen: `temperature`, `top_k` and `top_p`; those left out are the model's own.
    """
    from keras_tx.generation import TextStreamer, stream_rolling

    class Pieces(TextStreamer):
        """Returns its text alone."""

        def on_finalized_text(self, text, stream_end=False):
            pass

    if "temperature" in chosen:
        chosen["do_sample"] = chosen["temperature"] > 0
    batch = tokenizer(prompt)
    given: dict[str, Any] = {"seed": seed, "chunk": 8, "num_beams": 1, **chosen}
    ids, mask = batch["input_ids"], batch["attention_mask"]
    streamer = Pieces(tokenizer, skip_prompt=True, skip_special_tokens=True)
    if model.reads_prompt:
        yield prompt
    streamer.put(ids if model.reads_prompt else ids[:, :0])
    room = None if model.max_positions is None else model.max_positions - (ids.shape[1] if model.reads_prompt else 1)
    if room is None or length <= room or not model.reads_prompt:
        news = model.stream(ids, mask, max_new_tokens=length if room is None else min(length, room), **given)
    else:
        news = stream_rolling(model, ids, attention_mask=mask, max_new_tokens=length, **given)
    for new in news:
        yield streamer.put(new)
    yield streamer.end()


def echo(pieces: Iterable[str]) -> Iterator[str]:
    """Passes pieces of text on, printing each."""
    for piece in pieces:
        typer.echo(piece, nl=False)
        yield piece
    typer.echo()
