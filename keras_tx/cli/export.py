"""`keras-tx export`: a trained run or a checkpoint as an artifact that runs without keras_tx."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from keras_tx.cli.console import progress_bar, quiet, warnings_as_lines
from keras_tx.cli.options import RevisionOption, is_given, not_negative, probability
from keras_tx.files import size_of

if TYPE_CHECKING:
    from keras_tx.models.core.base import Model

Format = Literal["saved_model", "litert", "onnx"]
Form = Literal["float16", "dynamic_int8", "int8"]
GENERATION = ("length", "temperature", "top_k", "top_p", "num_beams")
"""Options of models that write texts."""
OPTIONS: dict[str, tuple[Format, ...]] = {
    "quantize": ("litert",),
    "tolerance": ("litert", "onnx"),
    "cache": ("litert", "onnx"),
    **dict.fromkeys((*GENERATION, "xla"), ("saved_model",)),
}
"""Those that are not for every format."""
SAMPLES = 16
"""Batches that full int8 finds its ranges with."""


def export(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN_OR_CHECKPOINT",
            help="Directory of a trained run, such as runs/quickstart, or of a checkpoint of keras_tx, Transformers or "
            "timm; or a hub id such as openai-community/gpt2.",
            show_default=False,
        ),
    ],
    format: Annotated[
        Format,
        typer.Option(help="For TensorFlow Serving, for phones and small devices, or for onnxruntime."),
    ] = "saved_model",
    output: Annotated[
        Path | None,
        typer.Option(
            help="Where to write; by default saved_model/1, model.tflite or model.onnx in the run's directory, and for "
            "a checkpoint 1, model.tflite or model.onnx in saved_models/NAME.",
            show_default=False,
        ),
    ] = None,
    quantize: Annotated[
        Form | None,
        typer.Option(
            help="For litert: weights in 16 bits (float16) or 8 bits (dynamic_int8), or weights and activations in 8 "
            "bits, calibrated on random inputs (int8); by default float32.",
            show_default=False,
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            callback=lambda x: None if x is None else not_negative(x),
            help="For litert and onnx: the largest difference from the model's outputs; see `export_litert`.",
            show_default=False,
        ),
    ] = None,
    cache: Annotated[
        bool,
        typer.Option(
            "--cache/--no-cache",
            help="For litert and onnx: a model that generates as its step with a KV cache.",
        ),
    ] = True,
    length: Annotated[int, typer.Option(min=1, help="For saved_model: new tokens unless a request says.")] = 200,
    temperature: Annotated[
        float,
        typer.Option(callback=not_negative, help="Likewise: sampling temperature; 0 for greedy."),
    ] = 0.8,
    top_k: Annotated[int, typer.Option(min=0, help="Likewise: sample from the k likeliest; 0 for all.")] = 0,
    top_p: Annotated[
        float,
        typer.Option(
            callback=probability,
            help="Likewise: sample from the likeliest that add up to this probability.",
        ),
    ] = 1.0,
    num_beams: Annotated[int, typer.Option(min=1, help="For saved_model: beams of `generate_beams`; 1 for none.")] = 1,
    xla: Annotated[bool, typer.Option("--xla", help="For saved_model: add signatures compiled by XLA.")] = False,
    revision: RevisionOption = None,
) -> None:
    """Export a trained run or a checkpoint to run without keras_tx.

    The export is loaded in a process of its own and its outputs are compared with the model's. If they differ it is
    not kept, and what was there before stays.

    A SavedModel needs TensorFlow alone, and maps strings to strings where there is a tokenizer; a litert file needs
    ai-edge-litert, an onnx file onnxruntime.
    """
    for option, formats in OPTIONS.items():
        if is_given(context, option) and format not in formats:
            name = option.replace("_", "-")
            raise ValueError(f"--{name} is for --format {' or '.join(formats)}, not {format}.")
    with quiet():
        import keras

    if keras.backend.backend() != "tensorflow":
        # Exports are TensorFlow graphs, or made of such; the backend of a process cannot change.
        environment = os.environ | {"KERAS_BACKEND": "tensorflow"}
        command = [sys.executable, "-m", "keras_tx.cli", *sys.argv[1:]]
        raise typer.Exit(subprocess.run(command, env=environment, check=False).returncode)

    model, strings, directory, version = _load(source, revision, with_strings=format == "saved_model")
    path = output or directory / (version if format == "saved_model" else _file_name(format, model, cache))
    before = sum(weight.value.dtype.size * weight.value.shape.num_elements() for weight in model.weights)
    if format == "saved_model":
        _require_generating(context, model, strings)
        chosen = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "num_beams": num_beams, "xla": xla}
        origin = source if revision is None else f"{source}@{revision}"
        found = _write_saved_model(model, path, max_new_tokens=length, source=origin, **strings, **chosen)
    else:
        found = _write(model, path, format, quantize, {"tolerance": tolerance, "use_cache": cache})
    typer.echo(f"{type(model).__name__}, {model.count_params():,} parameters, {before:,} bytes in float32")
    typer.echo(f"{path}: {size_of([path, *path.rglob('*')]):,} bytes")
    typer.echo(found)


class Source(NamedTuple):
    """What is to be exported.

    Attributes:
        model: the model.
        strings: what turns strings into its tensors, by the names that `export_saved_model` has for it.
        directory: where exports of it go.
        version: the place of a SavedModel there.
    """

    model: Model
    strings: dict[str, Any]
    directory: Path
    version: str


def _load(source: str, revision: str | None, *, with_strings: bool) -> Source:
    """The model of a run or a checkpoint, with what lies beside it if that is wanted."""
    from keras_tx.convert import locate
    from keras_tx.models.core.auto import load_pretrained
    from keras_tx.text import TOKENIZER_FILES
    from keras_tx.training import Run
    from keras_tx.vision.preprocessing import FILE as PREPROCESSOR_FILE

    run, place = Run(Path(source)), Path(source)
    on_hub = not place.exists() and len(place.parts) == 2 and place.parts[0] not in (".", "..", "/", "runs")
    is_checkpoint = on_hub or place.suffix == ".npz" or (place / "config.json").exists()
    if run.record.exists() or not is_checkpoint:
        load, kind = (run.load_image_model, "preprocessor") if run.of_images else (run.load_model, "tokenizer")
        model, beside = load()  # or what is wrong with the run, or that there is none
        return Source(model, {kind: beside} if with_strings else {}, run.directory, "saved_model/1")
    path = locate(source, revision=revision, also=(*TOKENIZER_FILES, PREPROCESSOR_FILE))
    with warnings_as_lines(), progress_bar("reading") as progress:
        model = load_pretrained(path, progress=progress)
    name = place.stem if place.suffix == ".npz" else place.resolve().name  # timm's have dots
    return Source(model, _strings(model, path) if with_strings else {}, Path("saved_models") / name, "1")


def _strings(model: Model, path: Path) -> dict[str, Any]:
    """What lies beside a checkpoint and turns strings into its tensors."""
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
    """Raises ValueError for options of generation that a model would not heed."""
    from keras_tx.generation import GenerationMixin

    given = [f"--{option.replace('_', '-')}" for option in GENERATION if is_given(context, option)]
    if given and not (isinstance(model, GenerationMixin) and strings):
        raise ValueError(
            f"{given[0]} is for models that write texts and have a tokenizer beside them, and this "
            f"{type(model).__name__} does not or has none: leave it out."
        )


def _file_name(format: Format, model: Model, use_cache: bool) -> str:
    from keras_tx.export.onnx import FILES, onnx_signatures

    if format == "onnx":
        return "onnx" if len(onnx_signatures(model, use_cache=use_cache)) == len(FILES) else "model.onnx"
    return "model.tflite"


def _write_saved_model(model: Model, path: Path, **options: Any) -> str:
    """What was found of its answers."""
    from keras_tx.export import export_saved_model

    with progress_bar("exporting") as progress:
        export_saved_model(model, path, **options, progress=progress)
    return "its answers are equal to the model's"


def _write(model: Model, path: Path, format: Format, quantize: Form | None, options: dict[str, Any]) -> str:
    """What was measured of its answers."""
    from keras_tx.export import export_litert, export_onnx

    with progress_bar("exporting") as progress:
        if format == "onnx":
            found = export_onnx(model, path, **options, progress=progress)
        else:
            data = _random_inputs(model) if quantize == "int8" else None
            found = export_litert(
                model, path, quantize=quantize, representative_data=data, **options, progress=progress
            )
    lines = [f"numbers differ from the model's by at most {found.error:.2g}, by {found.rms:.2g} of their size"]
    if found.tokens is not None:
        lines.append(f"tokens: {found.tokens:.0%} of those generated are the model's likeliest")
    return "\n".join(lines)


def _random_inputs(model: Model) -> list[dict]:
    import numpy as np

    from keras_tx.export.tensors import tensor_signatures

    rng, signature = np.random.default_rng(0), tensor_signatures(model)["serving_default"]
    longest = min(model.max_positions or 64, 64)
    return [signature.sample(rng, 2, int(rng.integers(1, longest + 1))) for _ in range(SAMPLES)]
