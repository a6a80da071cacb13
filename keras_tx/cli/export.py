"""`keras-tx export`: writes a trained run or a checkpoint as an artifact that runs without keras_tx."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from keras_tx.cli.console import progress_bar, quiet, warnings_as_lines
from keras_tx.cli.options import RevisionOption, is_given, not_negative, probability
from keras_tx.cli.sources import RunOrCheckpoint, run_of
from keras_tx.export.formats import FORMATS, Format
from keras_tx.files import size_of

if TYPE_CHECKING:
    from keras_tx.models.core.base import Model

    FormatName = str
else:
    FormatName = Literal[tuple(FORMATS)]  # the choices, as Typer reads them

Form = Literal["float16", "dynamic_int8", "int8"]
ARGUMENTS = {"length": "max_new_tokens", "cache": "use_cache", "text_length": "length"}
"""The exporters' names of those options that have another name here."""
GENERATION = (
    *("length", "temperature", "top_k", "top_p", "seed", "num_beams"),
    *("repetition_penalty", "no_repeat_ngram_size", "min_p", "penalty_alpha"),
)
"""The options for models that generate text."""
SAMPLES = 16
"""Batches with which int8 finds its ranges."""


def export(
    context: typer.Context,
    source: RunOrCheckpoint,
    format: Annotated[
        FormatName,
        typer.Option(
            help=f"What to write: {', '.join(f'{x.name} for {x.purpose}' for x in FORMATS.values())}.",
        ),
    ] = "saved_model",
    output: Annotated[
        Path | None,
        typer.Option(
            help="Where to write. By default it is saved_model/1, model.tflite or model.onnx in the directory of the "
            "run; for a checkpoint it is 1, model.tflite or model.onnx in saved_models/NAME.",
            show_default=False,
        ),
    ] = None,
    quantize: Annotated[
        Form | None,
        typer.Option(
            help="Store the weights in 16 bits (float16) or 8 bits (dynamic_int8), or weights and activations in 8 "
            "bits, calibrated on random inputs (int8). By default they are float32. Only for litert.",
            show_default=False,
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            callback=lambda x: None if x is None else not_negative(x),
            help="How much the outputs may differ from the model's, relative to their size. By default this is 1e-5, "
            "and more for quantized weights. Only for litert and onnx.",
            show_default=False,
        ),
    ] = None,
    cache: Annotated[
        bool,
        typer.Option(
            "--cache/--no-cache",
            help="Export a model that generates as its step with a key/value cache. Only for litert and onnx.",
        ),
    ] = True,
    int64: Annotated[bool, typer.Option("--int64", help="Take ids and masks as int64; int32 by default.")] = False,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Fix the number of rows. This and the next three are for litert, whose delegates need fixed sizes.",
            show_default=False,
        ),
    ] = None,
    text_length: Annotated[
        int | None, typer.Option(min=1, help="Fix the number of tokens of a text.", show_default=False)
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(min=1, help="Height and width of images; by default the model's.", show_default=False),
    ] = None,
    cache_length: Annotated[
        int | None,
        typer.Option(min=1, help="Fix the slots of the cache of a model that generates.", show_default=False),
    ] = None,
    length: Annotated[
        int,
        typer.Option(
            min=1,
            help="New tokens, unless a request sets them. This and the options down to --xla are for saved_model.",
        ),
    ] = 200,
    temperature: Annotated[
        float,
        typer.Option(callback=not_negative, help="Sampling temperature, unless a request sets it; 0 is greedy."),
    ] = 0.8,
    top_k: Annotated[
        int, typer.Option(min=0, help="Sample from the k likeliest tokens, unless a request sets it; 0 for all.")
    ] = 0,
    top_p: Annotated[
        float,
        typer.Option(
            callback=probability,
            help="Sample from the likeliest tokens that add up to this probability, unless a request sets it.",
        ),
    ] = 1.0,
    seed: Annotated[
        int, typer.Option(help="Seed of the draws, unless a request sets it; below 0 each request draws anew.")
    ] = -1,
    num_beams: Annotated[
        int, typer.Option(min=1, help="Add the signature `generate_beams` with so many beams; 1 for none.")
    ] = 1,
    repetition_penalty: Annotated[
        float, typer.Option(help="Make tokens that occur already less likely by this factor; 1 for no penalty.")
    ] = 1.0,
    no_repeat_ngram_size: Annotated[
        int, typer.Option(min=0, help="Let no run of so many tokens occur twice; 0 for no such rule.")
    ] = 0,
    min_p: Annotated[
        float, typer.Option(help="Sample from tokens with at least this share of the likeliest one's probability.")
    ] = 0.0,
    penalty_alpha: Annotated[
        float,
        typer.Option(
            help="Add the signature `generate_contrastive`, which chooses among --top-k tokens with this weight of "
            "their likeness to the text; 0 for none."
        ),
    ] = 0.0,
    xla: Annotated[bool, typer.Option("--xla", help="Add signatures that XLA compiles.")] = False,
    revision: RevisionOption = None,
) -> None:
    """Export a trained run or a checkpoint to run without keras_tx.

    The artifact is loaded in a process of its own, and its outputs are compared with the model's. If they differ it is
    discarded, and what was at that place before stays.

    A SavedModel needs TensorFlow alone; with a tokenizer beside the model it maps strings to strings. A litert file
    needs ai-edge-litert, an onnx file onnxruntime.
    """
    chosen, options = FORMATS[format], _options(context, FORMATS[format])
    options["integers"] = "int64" if int64 else "int32"
    with quiet():
        import keras

    if keras.backend.backend() != "tensorflow":
        # Exports are TensorFlow graphs, or made of such; the backend of a process cannot change.
        environment = os.environ | {"KERAS_BACKEND": "tensorflow"}
        command = [sys.executable, "-m", "keras_tx.cli", *sys.argv[1:]]
        raise typer.Exit(subprocess.run(command, env=environment, check=False).returncode)

    serves = not chosen.suffix  # from strings and images' files, too
    model, strings, directory, version = _load(source, revision, with_strings=serves)
    path = output or directory / (_file_name(chosen, model, use_cache=cache) if chosen.suffix else version)
    before = sum(weight.value.dtype.size * weight.value.shape.num_elements() for weight in model.weights)
    if serves:
        _require_generating(context, model, strings)
        options |= {**strings, "source": source if revision is None else f"{source}@{revision}"}
    elif quantize == "int8":
        options["representative_data"] = _random_inputs(model, text_length, image_size)
    with progress_bar("exporting") as progress:
        found = chosen.exporter(model, path, **options, progress=progress)
    typer.echo(f"{type(model).__name__}, {model.count_params():,} parameters, {before:,} bytes in float32")
    typer.echo(f"{path}: {size_of([path, *path.rglob('*')]):,} bytes")
    typer.echo(f"checked: {found or 'its answers are equal to those of the model'}")


def _options(context: typer.Context, format: Format) -> dict[str, Any]:
    """The arguments of a format's exporter; raises ValueError for an option that is given and not for this format."""
    options = {}
    for option, value in context.params.items():
        argument = ARGUMENTS.get(option, option)
        takers = [name for name, other in FORMATS.items() if argument in other.options]
        if format.name in takers:
            options[argument] = value
        elif takers and is_given(context, option):
            name = option.replace("_", "-")
            raise ValueError(f"--{name} is for --format {' or '.join(takers)}, not {format.name}.")
    return options


class Source(NamedTuple):
    """A run or a checkpoint.

    Attributes:
        model: its model.
        strings: what turns strings or files into the model's tensors, by the names of `export_saved_model`'s arguments.
        directory: where its exports go by default.
        version: the path of a SavedModel in that directory.
    """

    model: Model
    strings: dict[str, Any]
    directory: Path
    version: str


def _load(source: str, revision: str | None, *, with_strings: bool) -> Source:
    """Loads a run or a checkpoint, with its tokenizer or preprocessor if that is wanted."""
    from keras_tx.convert import locate
    from keras_tx.models.core.auto import load_pretrained
    from keras_tx.text import TOKENIZER_FILES

    run, place = run_of(source), Path(source)
    if run is not None:
        load, kind = (run.load_image_model, "preprocessor") if run.of_images else (run.load_model, "tokenizer")
        model, beside = load()  # raises an error that says what is wrong with the run, or that there is none
        return Source(model, {kind: beside} if with_strings else {}, run.directory, "saved_model/1")
    path = locate(source, revision=revision, also=TOKENIZER_FILES)
    with warnings_as_lines(), progress_bar("reading") as progress:
        model = load_pretrained(path, progress=progress)
    name = place.stem if place.suffix == ".npz" else place.resolve().name  # timm's have dots
    return Source(model, _strings(model, path) if with_strings else {}, Path("saved_models") / name, "1")


def _strings(model: Model, path: Path) -> dict[str, Any]:
    """The tokenizer or preprocessor that lies beside a checkpoint and turns strings or files into its tensors."""
    from keras_tx.export.pictures import takes_files
    from keras_tx.export.texts import takes_strings
    from keras_tx.generation import GenerationMixin
    from keras_tx.text import has_tokenizer, load_tokenizer
    from keras_tx.vision import ImagePreprocessor

    if model.main_input == "input_ids":
        fits = isinstance(model, GenerationMixin) or takes_strings(model)
        return {"tokenizer": load_tokenizer(path)} if fits and has_tokenizer(path) else {}
    try:
        return {"preprocessor": ImagePreprocessor.from_pretrained(path)} if takes_files(model) else {}
    except FileNotFoundError:
        return {}


def _require_generating(context: typer.Context, model: Model, strings: dict[str, Any]) -> None:
    """Raises ValueError for options of generation that would have no effect."""
    from keras_tx.generation import GenerationMixin

    given = [f"--{option.replace('_', '-')}" for option in GENERATION if is_given(context, option)]
    if given and not (isinstance(model, GenerationMixin) and strings):
        raise ValueError(
            f"{given[0]} is for models that generate text and have a tokenizer beside them: leave it out, for this "
            f"{type(model).__name__} {'has none' if isinstance(model, GenerationMixin) else 'does not generate'}."
        )


def _file_name(format: Format, model: Model, *, use_cache: bool) -> str:
    """The default name of an artifact: of a file, or of a directory for an encoder-decoder in parts."""
    from keras_tx.models.core.seq2seq import Seq2SeqLanguageModel

    in_parts = bool(format.contents) and use_cache and isinstance(model, Seq2SeqLanguageModel)
    return format.name if in_parts else f"model{format.suffix}"


def _random_inputs(model: Model, text_length: int | None, image_size: int | None) -> list[dict]:
    import numpy as np

    from keras_tx.export.sizes import Sizes
    from keras_tx.export.tensors import tensor_signatures

    sizes = Sizes(length=text_length, image_size=image_size)
    rng, signature = np.random.default_rng(0), tensor_signatures(model, sizes=sizes)["serving_default"]
    longest = min(model.max_positions or 64, 64)
    return [signature.sample(rng, 2, int(rng.integers(1, longest + 1))) for _ in range(SAMPLES)]
