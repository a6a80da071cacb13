"""`keras-tx export`: a trained run or a checkpoint as an artifact that runs without us."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from keras_tx.cli.console import progress_bar, quiet, size_of, warnings_as_lines
from keras_tx.cli.options import RevisionOption, is_given, not_negative

if TYPE_CHECKING:
    from keras_tx.models.base import Model

Format = Literal["saved_model", "litert", "onnx"]
Form = Literal["float16", "dynamic_int8", "int8"]
PREPROCESSOR_FILE = "preprocessor_config.json"
OPTIONS: dict[str, tuple[Format, ...]] = {
    "quantize": ("litert",),
    "tolerance": ("litert", "onnx"),
    "length": ("saved_model",),
    "temperature": ("saved_model",),
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
            help="Directory of a trained run, as runs/quickstart, or of a checkpoint, ours, Transformers' or timm's; "
            "or a hub id such as openai-community/gpt2.",
            show_default=False,
        ),
    ],
    format: Annotated[
        Format,
        typer.Option(help="For TensorFlow and TensorFlow Serving, for phones and small machines, or for onnxruntime."),
    ] = "saved_model",
    output: Annotated[
        Path | None,
        typer.Option(
            help="What to write; in the run's directory, or else in saved_models/NAME, saved_model/1, model.tflite or "
            "model.onnx unless given.",
            show_default=False,
        ),
    ] = None,
    quantize: Annotated[
        Form | None,
        typer.Option(
            help="Of litert: kernels in 16 or 8 bits, or all in 8 bits, with ranges found on random inputs; float32 "
            "unless given.",
            show_default=False,
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            callback=lambda x: None if x is None else not_negative(x),
            help="How much litert's and onnx's numbers may differ; see `export_litert`.",
            show_default=False,
        ),
    ] = None,
    length: Annotated[int, typer.Option(min=1, help="Tokens that a SavedModel's `generate` adds.")] = 200,
    temperature: Annotated[
        float, typer.Option(callback=not_negative, help="Temperature of a SavedModel's `generate`.")
    ] = 0.8,
    revision: RevisionOption = None,
) -> None:
    """Export a trained run or a checkpoint, so that it runs without us.

    What was written is loaded in a process of its own and asked the same as the model; if it answers otherwise it is
    not kept, and what was there before stays.

    A SavedModel runs with TensorFlow alone and takes and gives strings, if there is a tokenizer; litert runs with
    ai-edge-litert, onnx with onnxruntime.
    """
    for option, formats in OPTIONS.items():
        if is_given(context, option) and format not in formats:
            raise ValueError(f"--{option} is for --format {' or '.join(formats)}, not {format}.")
    with quiet():
        import keras

    if keras.backend.backend() != "tensorflow":
        # Exports are TensorFlow graphs, or made of such; the backend of a process cannot change.
        environment = os.environ | {"KERAS_BACKEND": "tensorflow"}
        command = [sys.executable, "-m", "keras_tx.cli", *sys.argv[1:]]
        raise typer.Exit(subprocess.run(command, env=environment, check=False).returncode)

    model, strings, directory = _load(source, revision, with_strings=format == "saved_model")
    path = output or directory / _default_name(format, model)
    before = sum(weight.value.dtype.size * weight.value.shape.num_elements() for weight in model.weights)
    if format == "saved_model":
        from keras_tx.export import export_saved_model

        export_saved_model(model, path, **strings, max_new_tokens=length, temperature=temperature)
        typer.echo(f"{path}: {size_of(path.rglob('*')) / 2**20:.1f} MiB, its answers equal to the model's")
        return
    found = _write(model, path, format, quantize, tolerance)
    typer.echo(f"{type(model).__name__}, {model.count_params():,} parameters, {before:,} bytes in float32")
    typer.echo(f"{path}: {found.size:,} bytes")
    typer.echo(f"numbers differ from the model's by at most {found.error:.2g}, by {found.rms:.2g} of their size")
    if found.tokens is not None:
        typer.echo(f"tokens: {found.tokens:.0%} of those generated are the model's likeliest")


def _load(source: str, revision: str | None, *, with_strings: bool) -> tuple[Model, dict[str, Any], Path]:
    """The model, what turns strings into its tensors if that is wanted, and where exports of it go."""
    from keras_tx.cli.convert import TOKENIZER_FILES
    from keras_tx.convert import locate
    from keras_tx.models.auto import load_pretrained
    from keras_tx.training import Run

    run, place = Run(Path(source)), Path(source)
    on_hub = not place.exists() and len(place.parts) == 2 and place.parts[0] not in (".", "..", "/", "runs")
    is_checkpoint = on_hub or place.suffix == ".npz" or (place / "config.json").exists()
    if run.record.exists() or not is_checkpoint:
        model, tokenizer = run.load_model()  # or what is wrong with the run, or that there is none
        return model, {"tokenizer": tokenizer}, run.directory
    path = locate(source, revision=revision, also=(*TOKENIZER_FILES, PREPROCESSOR_FILE))
    with warnings_as_lines(), progress_bar("reading") as progress:
        model = load_pretrained(path, progress=progress)
    return model, _strings(model, path) if with_strings else {}, Path("saved_models") / Path(source).resolve().stem


def _strings(model: Model, path: Path) -> dict[str, Any]:
    """What lies beside a checkpoint and turns strings into its tensors."""
    from keras_tx.cli.convert import TOKENIZER_FILES
    from keras_tx.models.base import TextModel
    from keras_tx.text import load_tokenizer
    from keras_tx.vision import ImagePreprocessor

    found = [name for name in TOKENIZER_FILES if (path / name).exists() and "config" not in name]
    if isinstance(model, TextModel):
        return {"tokenizer": load_tokenizer(path)} if found else {}
    known = (path / PREPROCESSOR_FILE).exists()
    return {"preprocessor": ImagePreprocessor.from_pretrained(path)} if known else {}


def _default_name(format: Format, model: Model) -> str:
    from keras_tx.export.onnx import FILES, onnx_signatures

    if format == "onnx":
        return "onnx" if len(onnx_signatures(model)) == len(FILES) else "model.onnx"
    return {"saved_model": "saved_model/1", "litert": "model.tflite"}[format]


def _write(model: Model, path: Path, format: Format, quantize: Form | None, tolerance: float | None):
    from keras_tx.export import export_litert, export_onnx

    with progress_bar("exporting") as progress:
        if format == "onnx":
            return export_onnx(model, path, tolerance=tolerance, progress=progress)
        data = _random_inputs(model) if quantize == "int8" else None
        options: dict[str, Any] = {"quantize": quantize, "representative_data": data, "tolerance": tolerance}
        return export_litert(model, path, **options, progress=progress)


def _random_inputs(model: Model) -> list[dict]:
    import numpy as np

    from keras_tx.export.tensors import tensor_signatures

    rng, signature = np.random.default_rng(0), tensor_signatures(model)["serving_default"]
    longest = min(getattr(model.config, "max_positions", None) or 64, 64)
    return [signature.sample(rng, 2, int(rng.integers(1, longest + 1))) for _ in range(SAMPLES)]
