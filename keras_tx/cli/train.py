"""`keras-tx train`: a character GPT, from a text to a run's directory."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_tx.cli.console import named, quiet
from keras_tx.cli.generate import continued, echo
from keras_tx.cli.options import (
    MAX_SEED,
    NameOption,
    OverwriteOption,
    ResumeOption,
    RunsOption,
    is_given,
    positive,
    rate,
)
from keras_tx.cli.training import begin_or_continue, open_run, verbosity
from keras_tx.extras import has_extra

if TYPE_CHECKING:
    from keras_tx.training import Run


def train(
    context: typer.Context,
    text: Annotated[Path | None, typer.Option(help="UTF-8 text file to train on.", show_default=False)] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="TFDS set to train on instead, such as tiny_shakespeare; TFDS_DATA_DIR says where sets lie.",
            show_default=False,
        ),
    ] = None,
    name: NameOption = "char-gpt",
    runs: RunsOption = Path("runs"),
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    steps: Annotated[int, typer.Option(min=1, help="Training steps.")] = 2000,
    layers: Annotated[int, typer.Option(min=1, help="Number of Transformer blocks.")] = 4,
    heads: Annotated[int, typer.Option(min=1, help="Attention heads in each block.")] = 4,
    width: Annotated[int, typer.Option(min=1, help="Width of the hidden states, a multiple of --heads.")] = 128,
    positions: Annotated[str, typer.Option(help="Position encoding: rotary, learned or sinusoidal.")] = "rotary",
    block_size: Annotated[int, typer.Option(min=2, help="Context length in characters.")] = 64,
    batch_size: Annotated[int, typer.Option(min=1, help="Blocks of text in a step.")] = 12,
    learning_rate: Annotated[
        float, typer.Option(callback=positive, help="Peak learning rate; it decays to a tenth of that.")
    ] = 1e-3,
    dropout: Annotated[
        float, typer.Option(callback=rate, help="Dropout rate; try 0.2 for long runs on short texts.")
    ] = 0.0,
    epoch_steps: Annotated[int, typer.Option(min=1, help="Steps between validations; each saves the state.")] = 250,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of weights, order and dropout.")] = 1337,
) -> None:
    """Train a character GPT on a text; or an image classifier, by one of the commands below.

    Without --text or --dataset the text is the Python language reference, which Python ships.

    The model trains on the first 90 % of the text and is validated on the rest. RUNS/NAME gets the model (model.keras),
    the metrics (metrics.csv, and tensorboard/ if TensorBoard is installed), a loss curve (loss.png), attention maps
    (attention.png) and a sample (sample.txt). The state is saved after every validation and on Ctrl-C; --resume
    continues from there, after a crash too.
    """
    if context.invoked_subcommand:
        if any(is_given(context, key) for key in context.params):
            raise typer.BadParameter(f"options go behind `{context.invoked_subcommand}`", ctx=context)
        return
    run, options = open_run(context, text=str(text.resolve()) if text else None)
    _train(context, run, options)


def _train(context: typer.Context, run: Run, options: dict[str, Any]) -> None:
    import keras

    from keras_tx.models import GPTModel
    from keras_tx.training import CharacterText, Recipe, train_language_model
    from keras_tx.training.resume.run import fingerprint

    if options["width"] % options["heads"]:
        raise ValueError(f"--width {options['width']} is not a multiple of --heads {options['heads']}.")
    text = _read(options)
    data = CharacterText.split(text)
    if len(data.validation_ids) <= options["block_size"]:
        raise ValueError(
            f"a text of {len(data)} characters is too short: its last tenth must be longer than "
            f"--block-size {options['block_size']}. Take a text of more than {10 * (options['block_size'] + 1)} "
            "characters, or smaller blocks."
        )
    recipe = Recipe(
        steps=options["steps"],
        batch_size=options["batch_size"],
        block_size=options["block_size"],
        learning_rate=options["learning_rate"],
        min_learning_rate=options["learning_rate"] / 10,
        warmup_steps=min(100, options["steps"] // 10),
        epoch_steps=min(options["epoch_steps"], options["steps"]),
        seed=options["seed"],
    )
    keras.utils.set_random_seed(recipe.seed)
    model = GPTModel(
        vocab_size=data.tokenizer.vocab_size,
        max_positions=recipe.block_size,
        num_layers=options["layers"],
        num_heads=options["heads"],
        d_model=options["width"],
        positions=options["positions"],
        embedding_dropout=options["dropout"],
        attention_dropout=options["dropout"],
        residual_dropout=options["dropout"],
    )
    begin_or_continue(context, run, options, fingerprint(text))
    logs = run.directory / ("tensorboard" if has_extra("tensorboard") else "metrics.csv")
    typer.echo(
        f"{len(data):,} characters, {data.tokenizer.vocab_size} different; {model.count_params():,} parameters; "
        f"{recipe.steps:,} steps on {keras.backend.backend()}. Logs: {logs}"
    )
    bigram_bits = data.bigram_bits(recipe.block_size, 10 * recipe.batch_size)
    parts = (data.train_ids, data.validation_ids)
    resume = context.params["resume"]
    train_language_model(model, *parts, recipe, run.directory, resume=resume, verbose=verbosity())
    run.save_model(model, data.tokenizer)
    _report(run, model, data, bigram_bits)


def _read(options: dict[str, Any]) -> str:
    """Returns the text that the options name."""
    from keras_tx.text import dataset_text, default_text, read_text

    if options["text"] and options["dataset"]:
        raise ValueError("give --text or --dataset, not both.")
    if options["text"]:
        with named("--text"):
            return read_text(options["text"])
    if options["dataset"]:
        with named("--dataset"), quiet():
            return dataset_text(options["dataset"])
    return default_text()


def _report(run: Run, model, data, bigram_bits: float) -> None:
    """Prints how well training went, draws the pictures, and writes and prints a sample."""
    import keras

    from keras_tx.analysis import plot_attention, plot_metric
    from keras_tx.files import whole_file
    from keras_tx.training import read_table

    table = read_table(run.directory / "metrics.csv")
    for what, bits in (("GPT", table[-1]["val_bits"]), ("bigram", bigram_bits)):
        typer.echo(f"validation loss {bits * math.log(2):.4f} nats, {bits:.4f} bits a character: {what}")
    plot_metric(run.directory / "loss.png", table, baselines={"bigram": bigram_bits * math.log(2)})
    window = _varied(data.validation_ids, min(24, model.config.max_positions))[None]
    maps = model(window, return_attention=True)["attentions"]
    tokens = [data.tokenizer.decode([i]) for i in window[0]]
    plot_attention(run.directory / "attention.png", [keras.ops.convert_to_numpy(m)[0] for m in maps], tokens)
    typer.echo("\nA sample:\n")
    sample = "".join(echo(continued(model, data.tokenizer, "".join(tokens), 400, seed=0, temperature=0.8)))
    with whole_file(run.directory / "sample.txt") as partial:
        partial.write_text(sample, encoding="utf-8")
    typer.echo(f"\nAll of it is in {run.directory}: model.keras, metrics.csv, loss.png, attention.png, sample.txt")


def _varied(ids, length: int):
    """Returns the stretch of `ids` with the most different characters: its attention maps show the most."""
    return max((ids[i : i + length] for i in range(0, len(ids) - length, length)), key=lambda part: len(set(part)))
